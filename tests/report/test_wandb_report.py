"""The W&B report: real blocks of W&B's report API; only its way to the server is replaced."""

from __future__ import annotations

import json

import pytest

from rltf.report.__main__ import main
from rltf.report.compare.settings import group_into_rows
from rltf.report.contents import build_document
from rltf.report.read.run import read_run
from rltf.report.write import wandb

wr = pytest.importorskip("wandb_workspaces.reports.v2", reason="needs pip install wandb-workspaces")


@pytest.fixture
def offline(monkeypatch, tmp_path):
    """Nobody is logged in."""
    monkeypatch.setenv("WANDB_MODE", "online")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("WANDB_CONFIG_DIR", str(tmp_path))
    monkeypatch.delenv("WANDB_API_KEY", raising=False)


@pytest.fixture
def rows(write_run, tmp_path):
    jobs = [(reward, seed) for reward in ("coarse", "coarse+fine") for seed in (1, 2)]
    folders = [write_run(tmp_path / "sweep" / f"{r}{s}", iterations=2, programs=40, reward=r, seed=s) for r, s in jobs]
    for folder in folders[:2]:  # the first row logged to W&B, offline
        tables = folder / "wandb" / f"offline-run-20260101_120000-id{folder.name}" / "files/media/table/rollouts"
        tables.mkdir(parents=True)
        for iteration in ("00000", "00010"):
            (tables / f"{iteration}_6_abc.table.json").write_text("{}")
        (folder / "wandb" / "latest-run").symlink_to(tables.parents[3])
    return group_into_rows([read_run(folder) for folder in folders])[0]


def built(rows, tmp_path, group="sweep-1"):
    return wandb.WandbWriter(rows, "team/rltf", group).build(build_document(rows, [], tmp_path))


def grids(report):
    return [block for block in report.blocks if isinstance(block, wr.PanelGrid)]


def test_every_logged_metric_of_the_page_has_a_panel(rows, tmp_path):
    report = built(rows, tmp_path)
    drawn = {metric for grid in grids(report) for panel in grid.panels for metric in getattr(panel, "y", None) or []}
    charts = build_document(rows, [], tmp_path).charts
    assert {metric for chart in charts for metric in chart.metrics} == {str(metric) for metric in drawn}
    assert {"val/pass@1", "rollout/reward_mean", "policy/entropy", "policy/kl", "rollout/outcome/passed"} <= set(drawn)


def test_a_row_is_a_run_set_by_id_where_the_run_logged_else_by_name(rows, tmp_path):
    first, second = grids(built(rows, tmp_path))[0].runsets
    assert (first.name, second.name) == ("reward=coarse", "reward=coarse+fine")
    assert first.filters == "Metric(\"ID\") in ['idcoarse1', 'idcoarse2'] and Metric(\"Group\") == 'sweep-1'"
    names = "['tiny_t5-coarse+fine-rltf-seed1', 'tiny_t5-coarse+fine-rltf-seed2']"
    assert second.filters == f'Metric("Name") in {names} and Metric("Group") == \'sweep-1\''
    assert "Group" not in grids(built(rows, tmp_path, None))[0].runsets[0].filters


def test_tables_and_programs_are_in_the_report(rows, tmp_path):
    report = built(rows, tmp_path)
    texts = "\n".join(block.text for block in report.blocks if isinstance(block, wr.MarkdownBlock))
    assert "| reward=coarse+fine | pass@1 | 2 |" in texts
    assert "| SyntaxError |" not in texts
    assert "| NameError |" in texts
    assert "Blame besides the advantage: " in texts
    assert "test 2 failed: `total([]) == 0`" in texts
    panels = [panel for grid in grids(report) for panel in grid.panels]
    assert [p.table_name for p in panels if isinstance(p, wr.WeavePanelSummaryTable)] == ["rollouts/00010"]


def test_the_specification_is_what_w_and_b_reads_back(rows, tmp_path):
    report = built(rows, tmp_path)
    again = wr.Report._from_model(report._to_model())
    kinds = [type(block).__name__ for block in again.blocks]
    assert kinds == [type(block).__name__ for block in report.blocks]
    assert "UnknownBlock" not in kinds


def test_offline_the_specification_is_written_and_the_user_told_how_to_publish(rows, tmp_path, offline, capsys):
    assert main([str(tmp_path / "sweep"), "--wandb", "team/rltf", "--group", "sweep-1"]) == 0
    path = tmp_path / "sweep" / "wandb_report.json"
    specification = json.loads(path.read_text())
    assert (specification["entity"], specification["project"]) == ("team", "rltf")
    assert {"table-of-contents", "heading", "markdown-block", "panel-grid"} <= {
        block["type"] for block in specification["spec"]["blocks"]
    }
    said = capsys.readouterr().out.splitlines()[-1]
    assert said.startswith(f"Not logged in to W&B: its specification is in {path}; to publish it, `wandb login`, ")
    assert f"`wandb sync {tmp_path}/sweep/coarse1/wandb/offline-run-* " in said


def test_w_and_b_that_is_switched_off_is_not_asked(rows, tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "offline")
    said = wandb.WandbWriter(rows, "team/rltf").write(build_document(rows, [], tmp_path), tmp_path)
    assert said.startswith("W&B is off (WANDB_MODE=offline): its specification is in ")


def test_a_user_who_is_logged_in_gets_the_address(rows, tmp_path, monkeypatch):
    sent = {}

    class Server:
        """What `Report.save` asks of W&B's API."""

        def projects(self, entity):
            return [type("Project", (), {"name": "rltf"})]

    def answer(api, query, variables):
        sent.update(variables)
        view = {"id": "Vmlldzox", "name": "x", "displayName": variables["displayName"], "description": "",
                "project": {"name": "rltf", "entityName": "team", "id": "1"}, "spec": variables["spec"],
                "createdAt": None, "updatedAt": None}  # fmt: skip
        return {"upsertView": {"view": view, "inserted": True}}

    monkeypatch.setattr(wandb, "_publishing_obstacle", lambda: None)
    monkeypatch.setattr("wandb_workspaces.reports.v2.interface._get_api", Server)
    monkeypatch.setattr("wandb_workspaces.reports.v2.interface.get_app_url", lambda api: "https://wandb.ai")
    monkeypatch.setattr("wandb_workspaces.reports.v2.interface.execute_graphql", answer)
    said = wandb.WandbWriter(rows, "team/rltf").write(build_document(rows, [], tmp_path), tmp_path)
    assert said.startswith("W&B report: https://wandb.ai/team/rltf/reports/RLTF,-2-rows-of-4-runs")
    written = json.loads((tmp_path / "wandb_report.json").read_text())["spec"]
    assert [b["type"] for b in json.loads(sent["spec"])["blocks"]] == [b["type"] for b in written["blocks"]]


def test_a_server_that_refuses_does_not_lose_the_report(rows, tmp_path, monkeypatch):
    def refuses(self):
        raise ConnectionError("no route")

    monkeypatch.setattr(wandb, "_publishing_obstacle", lambda: None)
    monkeypatch.setattr(wr.Report, "save", refuses)
    said = wandb.WandbWriter(rows, "team/rltf").write(build_document(rows, [], tmp_path), tmp_path)
    assert said.startswith("W&B did not take the report (ConnectionError: no route): its specification is in ")


def test_a_project_without_its_entity_is_refused(rows, tmp_path, capsys):
    assert main([str(tmp_path / "sweep"), "--wandb", "rltf"]) == 2
    assert capsys.readouterr().err.strip() == "--wandb rltf: expected ENTITY/PROJECT"
