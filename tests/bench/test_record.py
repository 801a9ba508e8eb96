"""Results as files: written and read, of this version and of the one before."""

import json
from pathlib import Path
from typing import Any

import pytest

from freqops.bench import record
from freqops.bench.cases import operators
from freqops.evaluation import InputError

RESULTS = Path(__file__).parents[2] / "benchmarks" / "results"


def test_written_and_read_again(tmp_path: Path, result: dict[str, Any]) -> None:
    record.write(tmp_path / "a.json", result)
    assert record.read(tmp_path / "a.json") == json.loads(json.dumps(result))
    assert result["schema"] == "freqops.bench/2"


def test_a_line_of_a_file_is_a_contender(result: dict[str, Any]) -> None:
    text = record.text(result)
    assert json.loads(text) == json.loads(json.dumps(result))
    lines = [line.strip() for line in text.splitlines()]
    for case in result["cases"]:
        for entry in case["contenders"]:
            assert json.dumps(entry) in {line.rstrip(",") for line in lines}
    assert max(map(len, lines)) <= 320


@pytest.mark.parametrize("content", [[], {}, [[]] * 200, {"a": "b" * 500}, [None, [1.5, "é"] * 90]])
def test_whatever_is_written_is_read_again(content: Any) -> None:
    assert json.loads(record.text(content)) == content


@pytest.mark.parametrize("path", sorted(RESULTS.glob("*.json")), ids=lambda path: path.name)
def test_published_files_are_as_the_writer_makes_them(path: Path) -> None:
    """So that a new measurement shows as the lines whose numbers changed."""
    assert path.read_text() == record.text(json.loads(path.read_text()))


@pytest.mark.parametrize(
    "path",
    [path for path in sorted(RESULTS.glob("*.json")) if "cases" in path.read_text()],
    ids=str,
)
def test_published_results_are_read(path: Path) -> None:
    """Whatever wrote them: as the present schema, with the same times."""
    stored, read = json.loads(path.read_text()), record.read(path)
    assert read["schema"] == record.SCHEMA
    assert len(read["cases"]) == len(stored["cases"]) > 0
    for before, after in zip(stored["cases"], read["cases"], strict=True):
        assert before.items() <= {**after, "contenders": before["contenders"]}.items()
        assert after["op"] in operators()
        assert "x".join(map(str, after["shape"])) in after["label"]
        for old, new in zip(before["contenders"], after["contenders"], strict=True):
            assert old.items() <= new.items()
            assert {"quartiles", "peak_bytes"} <= set(new)


def test_words_of_a_former_row_become_fields(tmp_path: Path) -> None:
    entry = {
        "name": "freqops",
        "role": "ours",
        "minimum": 1,
        "median": 1,
        "spread": 0,
        "samples": 2,
    }
    case = {
        "table": "max_blur_pool2d, 2x2, bfloat16, NHWC, forward and backward",
        "label": "16x64x112x112 4 taps",
        "goals": [],
        "contenders": [entry],
    }
    path = tmp_path / "old.json"
    path.write_text(json.dumps({"environment": {"cpu": "Some CPU"}, "cases": [case]}))
    (read,) = record.read(path)["cases"]
    assert read["op"] == "max_blur_pool"
    assert read["shape"] == [16, 64, 112, 112]
    assert (read["dtype"], read["layout"], read["backward"]) == ("bfloat16", "NHWC", True)
    assert read["layer"] == "ResNet stem"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (None, "there is no such file"),
        ("", "is empty; its run goes on still, or was killed"),
        ("[" * 100_000, "can't be read as JSON"),
        ("null", "is no result of freqops bench"),
        ('{"environment": {}, "settings": [], "cases": []}', "is no result of freqops bench"),
        (
            '{"environment": {}, "cases": [{"table": ["a"], "label": "b", "contenders": []}]}',
            "is no result of freqops bench",
        ),
        ("{", "can't be read as JSON"),
        ("[]", "is no result of freqops bench"),
        ('{"environment": {}, "cases": [{"label": 1}]}', "is no result of freqops bench"),
        ('{"environment": {}, "cases": [{"table": "a", "label": "b"}]}', "is no result"),
        (
            '{"environment": {}, "cases": [{"table": "a", "label": "b", "contenders": '
            '[{"name": "freqops", "role": "ours", "minimum": 0, "median": 1}]}]}',
            "is no result of freqops bench",
        ),
        (
            '{"schema": "freqops.bench/2", "environment": {}, "cases": '
            '[{"table": "a", "label": "b", "contenders": []}]}',
            "rows without an operator",
        ),
        ('{"schema": "another/1", "environment": {}, "cases": []}', "is no result"),
        ('{"schema": "freqops.bench/9", "rows": []}', "freqops.bench/9, which"),
        ('{"schema": "freqops.bench/9", "environment": {}, "cases": []}', "freqops.bench/9, which"),
    ],
)
def test_other_files_are_refused_in_one_sentence(
    tmp_path: Path, text: str | None, sentence: str
) -> None:
    path = tmp_path / "a.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(InputError, match=sentence) as caught:
        record.read(path)
    assert "\n" not in str(caught.value)
