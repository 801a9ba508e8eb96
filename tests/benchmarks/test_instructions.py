"""Counting instructions: what is read from a profile, and what counts as a change."""

from pathlib import Path
from typing import Any

import instructions
import pytest

PROFILE = """\
# callgrind format
events: Ir

ob=(1) /usr/lib/libpython3.11.so
fn=(1) call
10 500
cob=(2) /somewhere/freqops/libfreqops_cpu.so
cfn=(2) filter
calls=1 20
10 9000
ob=(2)
fn=(2)
20 30
+1 4
-2 5
* 1
cob=(3) /usr/lib/libc.so.6
cfn=(3) memcpy
calls=2 5
+3 700
+1 60
ob=(3)
fn=(3)
5 700
"""


def a_count(instructions: int, *, compiler: str = "GNU 12.2.0") -> dict[str, Any]:
    case = {"elements": 8, "instructions": instructions}
    return {"compiler": compiler, "level": "avx2", "cases": {"filter": case}}


def test_only_the_library_itself_counts(tmp_path: Path) -> None:
    profile = tmp_path / "out.1"
    profile.write_text(PROFILE)
    assert instructions.in_library(profile) == 30 + 4 + 5 + 1 + 60


@pytest.mark.parametrize("now", [1049, 1000, 951])
def test_a_harmless_change_passes(now: int) -> None:
    assert not instructions.deviations(a_count(now), a_count(1000))


@pytest.mark.parametrize("now", [1051, 2000, 949])
def test_more_and_fewer_instructions_are_named(now: int) -> None:
    (sentence,) = instructions.deviations(a_count(now), a_count(1000))
    assert sentence.startswith("filter: ")
    assert f"{now:,}" in sentence
    assert "1,000 recorded" in sentence


def test_cases_that_came_or_went_are_named() -> None:
    other = a_count(1000)
    other["cases"] = {"pool": other["cases"]["filter"]}
    assert instructions.deviations(other, a_count(1000)) == [
        "filter: recorded, gone",
        "pool: not recorded",
    ]


def test_counts_of_another_compiler_are_not_compared() -> None:
    assert not instructions.deviations(a_count(9000, compiler="Clang 19.1.0"), a_count(1000))


def test_the_record_has_every_case() -> None:
    record = instructions.json.loads(instructions.RECORD.read_text())
    assert record["level"] == instructions.LEVEL
    assert list(record["cases"]) == list(instructions.cases())
    assert all(case["instructions"] > case["elements"] for case in record["cases"].values())


def test_without_valgrind_it_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(instructions.shutil, "which", lambda name: None)
    with pytest.raises(RuntimeError, match="needs valgrind"):
        instructions.count()
