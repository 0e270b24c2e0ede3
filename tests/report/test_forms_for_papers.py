"""Figures as PDF and the results as a LaTeX table."""

from __future__ import annotations

import pytest

from rltf.report.__main__ import main
from rltf.report.compare.results import Result
from rltf.report.compare.statistics import Estimate
from rltf.report.write.table import latex, table_latex


def result(row, measure="pass@1", difference=None):
    before, after, gain = Estimate(0.25, 0.2, 0.3), Estimate(0.5, 0.45, 0.55), Estimate(0.25, 0.2, 0.3)
    return Result(measure, row, (1, 2), before, after, gain, difference, (2, 2) if difference else None)


def test_rows_of_a_latex_table_have_the_numbers_of_the_report():
    lines = table_latex([result("a_b"), result("c", difference=Estimate(-0.0125))]).splitlines()
    assert lines[1] == r"\begin{tabular}{llrrrrr}"
    assert lines[3].startswith("row & measure & seeds & before RL")
    assert lines[5] == r"a\_b & pass@1 & 2 & $25.0 [20.0, 30.0]$ & $50.0 [45.0, 55.0]$ & $+25.0 [+20.0, +30.0]$ &  \\"
    assert lines[6].endswith(r"& $-1.2$ \\")
    assert lines[-2:] == [r"\bottomrule", r"\end{tabular}"]


def test_every_row_has_as_many_cells_as_columns():
    for results in ([result("a")], [result("a"), result("b", "pass@5")]):
        lines = table_latex(results).splitlines()
        columns = lines[1].partition("}{")[2].rstrip("}")
        rows = [line for line in lines if line.endswith(r"\\")]
        assert {line.count(" & ") + 1 for line in rows} == {len(columns)}


def test_signs_of_latex_are_text():
    assert latex(r"50 % of $x_1 & {\y}") == r"50 \% of \$x\_1 \& \{\textbackslash{}y\}"


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    return tmp_path_factory.mktemp("report")


def test_a_report_has_each_chart_as_png_svg_and_pdf_of_the_width_that_was_asked_for(write_run, written):
    assert (
        main([str(write_run()), "--out", str(written), "--width", "3.25", "--font", "serif", "--font-size", "8"]) == 0
    )
    names = {kind: {file.stem for file in (written / "figures").glob(f"*.{kind}")} for kind in ("png", "svg", "pdf")}
    assert names["pdf"] == names["svg"] == names["png"]
    assert "validation" in names["pdf"]
    pdf = (written / "figures" / "validation.pdf").read_bytes()
    assert pdf.startswith(b"%PDF-")
    assert b"CreationDate" not in pdf  # the same run gives the same file
    assert b"/MediaBox [ 0 0 234 " in pdf  # 3.25 inches of 72 points
    assert (written / "table.tex").read_text().count("pass@") == 3
    assert 'viewBox="0 0 374.4' in (written / "report.html").read_text()  # the page keeps its 5.2 inches


def test_a_width_that_cannot_be_is_one_sentence(write_run, capsys):
    assert main([str(write_run()), "--width", "0"]) == 2
    assert capsys.readouterr().err == "--width 0: expected 2 to 20 inches\n"
