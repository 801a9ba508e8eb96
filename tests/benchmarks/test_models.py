"""What benchmarks/run.py runs, and the networks that benchmarks/models.py times; no times."""

import subprocess
import sys
from typing import Any

import kept
import models
import pytest
import run
import torch

from freqops.bench import tables
from freqops.bench.cases import operators
from freqops.bench.timing import Contender, interleave

# --- what is run ---------------------------------------------------------------------------------


def test_every_file_of_cases_belongs_to_one_suite() -> None:
    files = [file for suite in run.SUITES.values() for file in suite.files]
    assert sorted(files) == sorted(path.name for path in (run.FOLDER / "ops").glob("*.py"))
    assert sorted(files) == sorted(f"bench_{op}.py" for op in operators())


def test_suites_are_kept_apart_and_read_in_order() -> None:
    environment = {"cpu": "Some CPU", "allocator": "warm", "level": "avx512", "threads": 2}
    suites = ("spectral", "pooling", "filters")
    results = [{"environment": {**environment, "suite": name}} for name in suites]
    names = [run.file_name(result["environment"]) for result in results]
    assert names == [
        "some-cpu-warm-avx512-2-threads-spectral.json",
        "some-cpu-warm-avx512-2-threads-pooling.json",
        "some-cpu-warm-avx512-2-threads.json",
    ]
    assert sorted(results, key=kept.reading_order) == results[::-1]


def test_unknown_suite_is_one_sentence() -> None:
    command = [sys.executable, run.__file__, "--suites", "pooling,tea"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2
    sentence = f"--suites: must be of {', '.join(run.PARTS)}, got tea"
    assert done.stderr.strip().endswith(sentence)


# --- networks -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", models.NETWORKS)
def test_networks_compute_the_same(name: str) -> None:
    """Ours and the composition; the same sizes of every stage as the plain network's."""
    torch.manual_seed(0)
    x = torch.rand(1, 3, 64, 64)
    networks = {key: network.eval() for key, network in models.networks(name).items()}
    stages: dict[str, list[Any]] = {key: [] for key in networks}
    for key, network in networks.items():
        for stage in ("maxpool", "layer1", "layer2", "layer3", "layer4"):
            network.get_submodule(stage).register_forward_hook(
                lambda module, inputs, y, key=key: stages[key].append(y.shape)
            )
    with torch.no_grad():
        results = {key: network(x) for key, network in networks.items()}
    for kind in ("", "pool_only, "):
        torch.testing.assert_close(
            results[f"{kind}freqops"], results[f"{kind}torch"], atol=1e-4, rtol=1e-4
        )
    assert not torch.allclose(results["freqops"], results["slice"])
    assert all(shapes == stages["plain"] for shapes in stages.values())


def test_no_stride_is_left_in_a_block() -> None:
    networks = models.networks("resnet18")
    for key in ("freqops", "torch", "slice"):
        strides = [m.stride for m in networks[key].modules() if isinstance(m, torch.nn.Conv2d)]
        assert strides.count((2, 2)) == 1  # the stem's
    strides = [m.stride for m in networks["plain"].modules() if isinstance(m, torch.nn.Conv2d)]
    assert strides.count((2, 2)) == 7  # untouched by what was made of it


def test_slice_at_the_stem_is_the_maximum_at_stride_1_sliced() -> None:
    x = torch.rand(2, 3, 13, 16)
    sliced = models.Slice()(torch.nn.functional.max_pool2d(x, 2, 1))
    torch.testing.assert_close(models.POOLS["slice"].maximum(3)(x), sliced, rtol=0, atol=0)


def test_ratios_are_of_the_same_round() -> None:
    rounds = {
        "freqops": [1.0, 20.0, 3.0],
        "slice": [1.0, 10.0, 1.0],
        "torch": [2.0, 20.0, 2.0],
        "pool_only, freqops": [1.0, 1.0, 1.0],
        "pool_only, torch": [1.0, 1.0, 1.0],
        "plain": [1.0, 1.0, 2.0],
    }
    found = models.ratios(rounds)
    assert found["freqops / slice"] == 2.0
    assert found["pool_only, freqops / plain"] == 1.0


def test_patient_interleaving_warms_up_once_and_times_every_round() -> None:
    calls: list[str] = []

    def clock(contender: Contender, untimed: int, calls_wanted: int) -> list[float]:
        calls.append(contender.name)
        return [3.0] * calls_wanted

    pair = [Contender(name, lambda: None) for name in ("a", "b")]
    timings = interleave(pair, seconds=0, least_rounds=4, clock=clock, patient=True)
    assert (calls.count("a"), timings["a"].samples) == (5, 4)
    calls.clear()
    timings = interleave(pair, seconds=0, least_rounds=4, clock=clock)
    assert (calls.count("a"), timings["a"].samples) == (3, 2)


def test_models_section_judges_by_ratio() -> None:
    names = ("freqops", "torch", "slice", "pool_only, freqops", "pool_only, torch", "plain")
    row = {
        "label": "resnet18 training, NCHW",
        "images": 8,
        "side": 224,
        "contenders": [{"name": name, "median": 100.0} for name in names],
        "ratios": {
            "freqops / slice": 1.031,
            "torch / slice": 1.2,
            "pool_only, freqops / plain": 0.99,
            "pool_only, torch / plain": 1.1,
        },
        "allowed": models.ALLOWED,
    }
    environment = dict.fromkeys(
        ("date", "cpu", "cores", "load", "commit", "torch", "torchvision", "python"), "?"
    )
    environment |= {"allocator": "default", "threads": "2", "level": "avx512"}
    text = tables.models_section({"environment": environment, "models": [row]})
    last = text.splitlines()[-1]
    assert last.endswith("| +3.1% **missed** | +20.0% | -1.0% met | +10.0% |")
