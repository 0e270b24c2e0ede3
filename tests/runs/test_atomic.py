"""Files that are replaced whole or not at all."""

import pytest

from rltf.runs.atomic import replacing, write_text


def test_a_file_is_replaced_and_nothing_lies_beside_it(tmp_path):
    path = tmp_path / "summary.json"
    path.write_text("old")
    write_text(path, "new\r\n")
    assert path.read_bytes() == b"new\r\n"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("error", [OSError("disk full"), KeyboardInterrupt()])
def test_an_error_leaves_the_old_content_and_no_half_file(tmp_path, error):
    path = tmp_path / "metrics.csv"
    path.write_text("old")
    stopped = pytest.raises(type(error))
    with stopped, replacing(path) as new_file:
        new_file.write_text("ne")
        raise error
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_lone_surrogates_are_refused_or_replaced(tmp_path):
    path = tmp_path / "report.html"
    with pytest.raises(UnicodeEncodeError):
        write_text(path, "\ud800")
    write_text(path, "\ud800", errors="replace")
    assert path.read_text() == "?"
