"""examples/walk_timm.py: what it finds, writes down, skips and renders."""

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

import freqops

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> Iterator[SimpleNamespace]:
    """The modules of the example, which stand in no package."""
    pytest.importorskip("timm")
    monkeypatch.syspath_prepend(str(EXAMPLES))
    import timm_check
    import timm_page
    import timm_records
    import walk_timm

    modules = (timm_check, timm_page, timm_records, walk_timm)
    yield SimpleNamespace(check=timm_check, page=timm_page, records=timm_records, walk=walk_timm)
    for module in modules:
        sys.modules.pop(module.__name__)


def record(records: ModuleType, name: str, family: str, **facts: Any) -> Any:
    made = records.Record(name, family, "2026-11-21", "freqops 1, timm 2, torch 3", **facts)
    return made


# --- one model ----------------------------------------------------------------------------------


def test_a_model_that_is_converted(example: SimpleNamespace) -> None:
    found = example.check.examined("resnet10t")
    assert (found.family, found.device, found.outcome) == ("resnet", "meta", "converted")
    assert found.parameters == example.check.parameters_of("resnet10t") > 5e6
    assert found.input_size == [3, 176, 176]
    # the stem, the first convolution and the pooled shortcut of three stages; and one max pool
    assert found.converted == {"conv": 4, "avg_pool": 3, "max_pool": 1}
    assert found.left == {"global: one sample is left of an axis": 1}
    assert found.sizes is True
    assert found.problem == ""


def test_a_model_without_anything_to_convert(example: SimpleNamespace) -> None:
    found = example.check.examined("mixer_s32_224")
    assert (found.converted, found.outcome) == ({}, "nothing to convert")
    assert sum(found.left.values()) == 1


def _another_key(model: Any) -> None:
    model.register_buffer("extra", torch.zeros(1))


def _another_size(model: Any) -> None:
    model.global_pool.flatten = nn.Identity()


def _nothing(model: Any) -> None:
    pass


def _an_exception(model: Any) -> None:
    raise LookupError("such\nis life")


@pytest.mark.parametrize(
    ("harm", "sentence"),
    [
        (_another_key, "state_dict has other keys or shapes; "),
        (_another_size, "converted, it gives "),
        (_another_size, "undo leaves global_pool._modules, global_pool.flatten.class, "),
        (_nothing, "without a row, but still coarser: 3 avg_pool, 4 conv, 1 max_pool"),
        (_an_exception, "antialias raised LookupError: such"),
    ],
)
def test_what_conversion_breaks_is_seen(
    example: SimpleNamespace, monkeypatch: pytest.MonkeyPatch, harm: Any, sentence: str
) -> None:
    def antialias(model: nn.Module, recipe: str) -> Any:
        report = freqops.antialias(model, recipe, dry_run=harm is _nothing)
        harm(model)
        return report

    monkeypatch.setattr(example.check, "freqops", SimpleNamespace(antialias=antialias))
    found = example.check.examined("resnet10t")
    assert found.outcome == "error"
    assert sentence in found.problem
    assert (harm.__name__ in found.traceback) == (harm is _an_exception)


# --- processes ----------------------------------------------------------------------------------


def _dies(name: str) -> None:
    os._exit(7)


def _eats(name: str) -> str:
    try:
        return f"{name}: {len(bytearray(2**30))}"
    except MemoryError:
        return f"{name}: no memory"


def test_one_bad_model_loses_nothing(example: SimpleNamespace) -> None:
    limits = example.walk._Limits(20, 8)
    assert example.walk.in_child(str.upper, "a", limits) == "A"
    died = example.walk.in_child(_dies, "a", limits)
    assert isinstance(died, example.walk.Failure)
    assert "exit code 7" in died
    slow = example.walk.in_child(lambda name: time.sleep(60), "a", example.walk._Limits(0.2, 8))
    assert slow == "it took more than 0.2 s"
    assert example.walk.in_child(_eats, "a", example.walk._Limits(20, 0.5)) == "a: no memory"


def test_walk_writes_down_and_resumes(
    example: SimpleNamespace, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    walked = []

    def answer(function: Any, name: str, limits: Any) -> Any:
        walked.append(name)
        if name == "vgg11":
            return example.walk.Failure("it took more than 1 s")
        return record(example.records, name, "resnet", converted={"conv": 1})

    monkeypatch.setattr(example.walk, "in_child", answer)
    path = tmp_path / "folder" / "records.jsonl"
    example.walk.walk(["resnet18", "vgg11"], path, example.walk._Limits(1, 1))
    known = example.records.read(path)
    assert {name: one.outcome for name, one in known.items()} == {
        "resnet18": "converted",
        "vgg11": "error",
    }
    assert known["vgg11"].problem == "it took more than 1 s"
    names = ["resnet18", "vgg11", "dla34"]
    assert example.records.to_do(names, known) == ["dla34"]
    assert example.records.to_do(names, known, retry=True) == ["vgg11", "dla34"]

    with path.open("a") as file:
        file.write('{"name": "dla34", "fam')  # killed here
    assert example.records.read(path) == known
    again = record(example.records, "vgg11", "vgg")
    example.records.append(path, again)
    assert example.records.read(path) == {"resnet18": known["resnet18"], "vgg11": again}


def test_order(example: SimpleNamespace) -> None:
    parameters = {"a1": 5, "a2": 1, "a3": int(4e8), "b1": 3, "b2": None, "b3": 9}
    order = example.walk.in_order(parameters, lambda name: name[0])
    assert order == ["a2", "b1", "a1", "b3", "a3", "b2"]


# --- the page -----------------------------------------------------------------------------------


def test_page(example: SimpleNamespace) -> None:
    make, records = record, example.records
    glob, patch = "global: one sample is left of an axis", "stride 16 cuts it into patches; include"
    found = [
        make(records, "r2", "resnet", converted={"conv": 2, "max_pool": 1}, left={glob: 1}),
        make(records, "r1", "resnet", converted={"conv": 2, "max_pool": 1}, left={glob: 1}),
        make(records, "v1", "vit", left={patch: 1}, sizes=True),
        make(records, "v2", "vit", problem="antialias raised KeyError: a|b\nc"),
        make(records, "v3", "vit", converted={"conv": 1}, trace="without a trace: it has none"),
    ]
    families = {**{one.name: one.family for one in found}, "v4": "vit", "x1": "xcit"}
    text = example.page.page(found, families)
    lines = text.splitlines()
    assert "**5 of the 7 models**" in text
    assert "2026-11-21" in text
    assert "freqops 1, timm 2, torch 3" in text
    for line in (
        "| converted | 3 |",
        "| nothing to convert | 1 |",
        "| error | 1 |",
        "| sites converted | 7 |",
        "| conv | 5 |",
        "| global pool | 2 |",
        "| patch embedding | 1 |",
        "| v2 | antialias raised KeyError: a\\|b c |",
        "### resnet (2)",
        "| r1, r2 | 3: 2 conv, 1 max_pool | 1: 1 global pool | converted |",
        "### vit (3 of 4)",
        "| v1 | 0 | 1: 1 patch embedding | nothing to convert |",
        "| v3 | 1: 1 conv | 0 | converted; without a trace: it has none |",
        "v4, x1",
    ):
        assert line in lines, line
