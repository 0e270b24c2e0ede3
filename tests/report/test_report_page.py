"""The page of a run folder: whole, damaged, or none at all."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from importlib.resources import files

import pytest

from rltf.report.compare.settings import group_into_rows
from rltf.report.contents import build_document
from rltf.report.draw.chart import HATCHES, STYLES, colours, line_style
from rltf.report.read.rollouts import FIRST, LAST, read_rollouts
from rltf.report.read.run import read_run
from rltf.report.write.files import write_report

VOID = {"meta", "input"}
LOADS = {"src", "data", "action", "poster", "srcset", "xlink:href"}


class Page(HTMLParser):
    """Checks nesting; gathers tags, attributes and text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.targets: set[str] = set()
        self.ids: list[str] = []
        self.headings: list[str] = []
        self.text = ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.targets |= {value for name, value in attrs if name == "href"}
        self.ids += [value for name, value in attrs if name == "id"]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] == "h2":
            self.headings.append(data)
        if self.open and self.open[-1] != "style":
            self.text += data


def page_of(folder) -> Page:
    return Page(write_report(folder).read_text(encoding="utf-8"))


def document_of(folder):
    rows, said = group_into_rows([read_run(folder)])
    return build_document(rows, said, folder)


def test_a_finished_run_shows_every_section(write_run):
    assert page_of(write_run()).headings == [
        "Held-out results",
        "Learning",
        "What became of the programs",
        "Held-out problems by kind",
        "The policy",
        "Where the time went",
        "Programs",
    ]


def test_the_page_loads_nothing_and_runs_nothing(write_run):
    text = write_report(write_run()).read_text()
    page = Page(text)
    assert page.tags.isdisjoint({"script", "link", "img", "iframe", "object", "embed", "form", "base"})
    assert page.attributes.isdisjoint(LOADS)
    assert not any(name.startswith("on") for name in page.attributes)
    assert "http://" not in text
    assert "https://" not in text
    assert all(target.startswith("#") for target in page.targets)
    assert all(target in page.ids for target in re.findall(r"url\(#([^)]*)\)", text))
    assert text.count("url(") == text.count("url(#")
    assert len(page.ids) == len(set(page.ids))
    assert "@import" not in text
    assert "default-src 'none'" in text


def test_the_headline_and_the_table_hold_the_runs_numbers(write_run):
    text = page_of(write_run(after=(3, 1, 4, 0))).text
    assert "25.0 % → 50.0 %" in text  # 1 of 4 before; (3 + 1 + 4 + 0) of 16 after
    assert "pass@125.0 % [25.0, 25.0]" in text
    assert "+25.0 points" in text
    assert "One seed: nothing here says how much another seed would differ." in text
    assert "easy (2)25.0 %50.0 %" in text  # problems 0 and 1: 4 of 8
    assert "loop (3)25.0 %66.7 %" in text  # problems 0 to 2: 8 of 12
    assert "python train.py reward=coarse+fine+adaptive seed=7" in text
    assert "3 min 3 s" in text
    assert "test 2 failed: total([]) == 0" in text


def test_charts_take_their_colours_from_the_pages_theme(write_run):
    text = write_report(write_run()).read_text()
    drawings = re.findall(r"<svg.*?</svg>", text, flags=re.DOTALL)
    assert len(drawings) >= 15
    assert not any(re.search(r"#[0-9a-f]{6}\b", svg) for svg in drawings)
    used = set(re.findall(r"var\(--(\w+)\)", "".join(drawings)))
    assert {"c0", "ink", "soft", "rule", "paper", "passed", "syntax"} <= used <= set(colours())


def test_a_program_cannot_write_into_the_page(write_run):
    folder = write_run()
    line = json.loads((folder / "rollouts.jsonl").read_text().splitlines()[0])
    hostile = "</pre></style><script>alert(1)</script><img src=x onerror=alert(1)>"
    line |= {"program": hostile, "problem_id": hostile, "outcome": 'x" onclick="alert(1)', "offsets": [], "credits": []}
    line["error"] = {"type": hostile, "message": hostile, "line": 1, "end_line": 1, "category": "line"}
    with (folder / "rollouts.jsonl").open("a") as file:
        file.write(json.dumps(line) + "\n")
    page = page_of(folder)
    assert page.tags.isdisjoint({"script", "img"})
    assert "onclick" not in page.attributes
    assert hostile in page.text


def test_names_that_strangers_chose_are_drawn_as_they_are(write_run):
    folder = write_run(iterations=1)
    evaluation = json.loads((folder / "evaluation.json").read_text())
    evaluation["after"][0]["errors"] = {"$\\frac{<b>": 1, "_hidden": 1, "名前\x00" + "x" * 90: 1}
    evaluation["after"][0]["tags"] = evaluation["before"][0]["tags"] = ["$a_1$", "</svg><script>"]
    (folder / "evaluation.json").write_text(json.dumps(evaluation))
    page = page_of(folder)
    assert "script" not in page.tags
    for name in ("$\\frac{<b>", "‹_hidden›", "名前‹U+0000›xxx", "$a_1$", "</svg><script>"):
        assert name in page.text


def test_a_run_without_programs_or_results_yet_shows_its_curves_and_says_what_is_missing(write_run):
    folder = write_run()
    for name in ("rollouts.jsonl", "summary.json", "evaluation.json"):
        (folder / name).unlink()
    page = page_of(folder)
    assert page.headings == ["Learning", "The policy", "Where the time went"]
    assert "There is no rollouts.jsonl." in page.text
    assert "There is no summary.json: the run is still going, or it was stopped before its end." in page.text


def test_a_run_in_its_warm_up_shows_its_loss(tmp_path):
    (tmp_path / "metrics.csv").write_text("phase,iteration,loss/total,step\nwarmup,0,4.5,1\nwarmup,0,4.25,2\n")
    page = page_of(tmp_path)
    assert page.headings == ["The policy"]
    assert "Loss" in page.text


def test_damaged_lines_are_left_out_counted_and_named(write_run):
    folder = write_run(iterations=2, programs=3)
    lines = (folder / "rollouts.jsonl").read_text().splitlines()
    (folder / "rollouts.jsonl").write_text("\n".join([lines[0], "{}", "no json", *lines[1:], lines[0][:50]]))
    text = "".join(document_of(folder).notices)
    assert "3 lines of rollouts.jsonl are no complete records (first: line 2); they are left out." in text


def test_a_half_written_summary_is_left_out_and_said(write_run):
    folder = write_run()
    (folder / "summary.json").write_text('{"status": "fin')
    page = page_of(folder)
    assert "summary.json is no JSON" in page.text
    assert "Held-out results" not in page.headings


@pytest.mark.parametrize(
    ("status", "words"),
    [
        ({"status": "failed", "error": "ValueError: no disk"}, "The run failed: ValueError: no disk"),
        ({"status": "interrupted"}, "The run was interrupted."),
        ({"status": "running"}, "The run was still going"),
    ],
)
def test_a_run_that_did_not_finish_says_so(write_run, status, words):
    folder = write_run(iterations=1)
    (folder / "summary.json").write_text(json.dumps(status))
    assert any(words in notice for notice in document_of(folder).notices)


def test_text_that_no_encoding_holds_does_not_stop_the_page(write_run):
    folder = write_run(iterations=1, programs=1)
    record = json.loads((folder / "rollouts.jsonl").read_text())
    record |= {"program": "x = '\ud800'", "offsets": [], "credits": []}
    (folder / "rollouts.jsonl").write_text(json.dumps(record) + "\n")
    assert "U+D800" in page_of(folder).text


def test_the_gallery_keeps_a_few_of_each_outcome_however_long_the_run(write_run):
    folder = write_run(iterations=30, programs=40)
    rollouts, notices = read_rollouts(folder / "rollouts.jsonl")
    assert notices == []
    assert rollouts.programs == 1200
    outcomes = [example.outcome for example in rollouts.gallery]
    assert {"passed", "wrong_answer", "runtime_error", "syntax_error", "timeout"} == set(outcomes)
    assert all(outcomes.count(outcome) <= FIRST + LAST for outcome in set(outcomes))
    assert [e.iteration for e in rollouts.gallery] == sorted(e.iteration for e in rollouts.gallery)


@pytest.mark.parametrize(
    ("present", "words"),
    [
        ({}, "holds none of metrics.csv, rollouts.jsonl, summary.json"),
        ({"metrics.csv": ""}, "has nothing to show yet: "),
        ({"metrics.csv": "step,a\n"}, "metrics.csv holds no numbers"),
        ({"summary.json": "[]"}, "summary.json holds list, expected an object"),
        ({"rollouts.jsonl": "half"}, "Line 1 of rollouts.jsonl is no complete record"),
    ],
)
def test_a_folder_without_a_run_is_refused_in_one_sentence(tmp_path, present, words):
    for name, content in present.items():
        (tmp_path / name).write_text(content)
    with pytest.raises(ValueError, match=re.escape(words)):
        write_report(tmp_path)


def test_a_folder_that_is_not_there_is_refused_by_name(tmp_path):
    with pytest.raises(ValueError, match="nowhere is no folder: expected a run folder"):
        write_report(tmp_path / "nowhere")


def luminance(colour: str) -> float:
    """WCAG 2, relative luminance of #rrggbb."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(first: str, second: str) -> float:
    light, dark = sorted((luminance(first), luminance(second)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_and_lines_stand_out_from_the_paper(theme):
    style = files("rltf.report").joinpath("style.css").read_text()
    light, dark = re.findall(r":root \{(.*?)\}", style, flags=re.DOTALL)[:2]
    colours = dict(re.findall(r"--(\w+): (#[0-9a-f]{6});", light if theme == "light" else dark))
    for text in ("ink", "soft"):
        assert contrast(colours[text], colours["paper"]) >= 4.5, text
        assert contrast(colours[text], colours["panel"]) >= 4.5, text
    for line in ("c0", "c1", "c2", "c3", "c4", "c5"):
        assert contrast(colours[line], colours["paper"]) >= 3.0, line
    for fill in ("passed", "wrong", "runtime", "timeout", "limit", "syntax"):  # the seconds written on the time bar
        assert contrast(colours["onfill"], colours[fill]) >= 4.5, fill


def test_rows_are_told_apart_without_colour_by_dashes_and_markers():
    looks = [(line_style(i)["dashes"], line_style(i)["marker"]) for i in (None, *range(STYLES))]
    assert len(set(looks)) == 1 + STYLES
    assert len({marker for _, marker in looks}) == 1 + STYLES
    assert len(set(HATCHES)) == len(HATCHES)
