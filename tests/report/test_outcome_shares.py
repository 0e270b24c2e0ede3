"""Every outcome is shown: in the chart of outcomes, in the gallery's badges and filters."""

from importlib.resources import files
from types import SimpleNamespace

from rltf.report.draw.chart import colour
from rltf.report.sections import metrics
from rltf.report.sections.metrics import OUTCOMES
from rltf.types import Outcome


def test_every_outcome_has_a_colour_a_badge_and_a_filter():
    style = files("rltf.report").joinpath("style.css").read_text(encoding="utf-8")
    assert {outcome for outcome, _, _ in OUTCOMES} == set(Outcome)
    for outcome, _, name in OUTCOMES:
        assert colour(name).startswith("#")
        assert f".o-{outcome}" in style
        assert f"#show-{outcome}:not(:checked)" in style


def test_a_share_that_is_logged_where_it_is_not_0_is_drawn_as_0_elsewhere(monkeypatch):
    curves = {"rollout/outcome/passed": [(1, 0.5), (2, 0.25)], "rollout/outcome/unjudgeable": [(2, 0.75)]}
    monkeypatch.setattr(metrics, "metric_line", lambda _, runs, name: SimpleNamespace(points=curves.get(name, [])))
    monkeypatch.setattr(metrics, "area_chart", lambda name, title, panels, share, names, y: panels)
    [panel] = metrics._outcomes_chart([SimpleNamespace(label="run", runs=[])])
    parts = {label: points for label, _, points in panel.parts}
    assert parts["passed"] == [(1, 0.5), (2, 0.25)]
    assert parts["not judged"] == [(1, 0.0), (2, 0.75)]
    assert parts["timeout"] == []
