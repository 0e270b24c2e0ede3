import gzip
import json
import sys

import pytest

from rltf.benchmarks.files import Row, read_rows

ROWS = [{"id": "a"}, {"id": "b\u2028c"}]


def test_lines_list_and_gzip_give_the_same_rows(tmp_path):
    lines = "\n".join(json.dumps(row, ensure_ascii=False) for row in ROWS) + "\n\n"
    contents = {
        "a.jsonl": lines.encode(),
        "crlf.jsonl": lines.replace("\n", "\r\n").encode(),
        "bom.jsonl": b"\xef\xbb\xbf" + lines.encode(),
        "a.jsonl.gz": gzip.compress(lines.encode()),
        "a.json": json.dumps(ROWS, indent=1).encode(),
        "gzip_without_its_ending": gzip.compress(json.dumps(ROWS).encode()),
    }
    for name, data in contents.items():
        (tmp_path / name).write_bytes(data)
        assert [dict(row.fields) for row in read_rows(tmp_path / name)] == ROWS, name


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b'{"a": 1}\n{"a": 2\n', r"rows line 2 is not JSON"),
        (b'{"a": 1}\n\n7\n', r"rows line 3 holds a JSON int, expected an object"),
        (b'[{"a": 1},\n {"a": }]', r"rows line 2 is not JSON"),
        (b'[{"a": 1}, "x"]', r"rows entry 2 holds a JSON str"),
        (b"", r"rows is empty"),
        (b"[]", r"rows is empty"),
        (b"\xff\xfe", r"rows cannot be read as UTF-8"),
        (gzip.compress(b"{}" * 99, mtime=0)[:-9], r"rows cannot be read"),
    ],
)
def test_a_malformed_file_is_one_sentence_with_key_file_and_line(tmp_path, data, message):
    (tmp_path / "rows").write_bytes(data)
    with pytest.raises(ValueError, match=message) as error:
        read_rows(tmp_path / "rows")
    assert str(error.value).startswith("benchmark.path: ")
    assert "\n" not in str(error.value)


def test_a_missing_file_and_a_folder_name_the_key(tmp_path):
    with pytest.raises(ValueError, match=r"benchmark\.path: there is no file .*nowhere\.jsonl"):
        read_rows(tmp_path / "nowhere.jsonl")
    with pytest.raises(ValueError, match=r"benchmark\.path: .* cannot be read"):
        read_rows(tmp_path)


def test_integers_beyond_pythons_limit_are_read_and_the_limit_is_put_back(tmp_path):
    limit = sys.get_int_max_str_digits()
    (tmp_path / "rows").write_text('{"n": 1' + "0" * 5000 + "}")
    assert read_rows(tmp_path / "rows")[0].fields["n"] == 10**5000
    assert sys.get_int_max_str_digits() == limit


def test_a_field_that_is_absent_or_of_another_kind_is_reported_with_its_place():
    row = Row("f.jsonl line 7", {"n": "3", "texts": ["a", 1], "none": None})
    with pytest.raises(ValueError, match=r"f\.jsonl line 7 has no field 'm', only n, texts, none"):
        row.value("m", int)
    with pytest.raises(ValueError, match=r"f\.jsonl line 7 has str in 'n', expected int"):
        row.value("n", int)
    with pytest.raises(ValueError, match=r"f\.jsonl line 7 has values other than strings"):
        row.strings("texts")
    assert row.value("none", int, 5) == 5
    assert row.strings("absent") == ()
