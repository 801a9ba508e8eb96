"""What benchmarks/run.py runs, and the networks that benchmarks/models.py times; no times."""

import subprocess
import sys
from typing import Any

import kept
import models
import pytest
import run
import torch
from whole_jobs import Effort

import freqops
from freqops.bench import model_tables, peers
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


@pytest.mark.parametrize(
    ("name", "taps"), [("resnet18", 3), ("resnet18", models.PUBLISHED_TAPS), ("resnet50", 3)]
)
def test_networks_compute_the_same(name: str, taps: int) -> None:
    """Ours and its peers; the same sizes of every stage as the plain network's."""
    torch.manual_seed(0)
    x = torch.rand(1, 3, 64, 64)
    networks = {key: network.eval() for key, network in models.networks(name, taps).items()}
    stages: dict[str, list[Any]] = {key: [] for key in networks}
    for key, network in networks.items():
        for stage in ("maxpool", "layer1", "layer2", "layer3", "layer4"):
            network.get_submodule(stage).register_forward_hook(
                lambda module, inputs, y, key=key: stages[key].append(y.shape)
            )
    with torch.no_grad():
        results = {key: network(x) for key, network in networks.items()}
    for key in [key for key in results if models.ROLES.get(key, "peer") == "peer"]:
        ours = f"{'pool_only, ' * key.startswith('pool_only')}freqops"
        torch.testing.assert_close(results[ours], results[key], atol=1e-4, rtol=1e-4)
    for key in {"slice", "plain", "kornia"} & set(results):
        assert not torch.allclose(results["freqops"], results[key], atol=1e-4)
    assert all(shapes == stages["plain"] for shapes in stages.values())


def test_no_stride_is_left_in_a_block() -> None:
    networks = models.networks("resnet18")
    for key in models.pools(3):
        strides = [m.stride for m in networks[key].modules() if isinstance(m, torch.nn.Conv2d)]
        assert strides.count((2, 2)) == 1  # the stem's
    strides = [m.stride for m in networks["plain"].modules() if isinstance(m, torch.nn.Conv2d)]
    assert strides.count((2, 2)) == 7  # untouched by what was made of it


def test_slice_at_the_stem_is_the_maximum_at_stride_1_sliced() -> None:
    x = torch.rand(2, 3, 13, 16)
    sliced = models.Slice()(torch.nn.functional.max_pool2d(x, 2, 1))
    torch.testing.assert_close(models.pools(3)["slice"].maximum(3)(x), sliced, rtol=0, atol=0)


def test_timm_takes_part_where_it_computes_the_same() -> None:
    layers = pytest.importorskip("timm.layers")
    assert "timm" in models.pools(3)
    assert "timm" not in models.pools(4)
    x = torch.rand(1, 2, 8, 8)
    earlier, ours = layers.BlurPool2d(2, 4, 2)(x), freqops.blur_pool2d(x, 4)
    assert (earlier.shape[-1], ours.shape[-1]) == (5, 4)


def test_peers_that_are_not_installed_take_no_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers, "library", lambda package, module="": None)
    monkeypatch.setattr(peers, "missing", lambda: {"timm": "pip install timm", "ducc0": "pip"})
    assert list(models.pools(3)) == ["freqops", "torch", "slice"]
    assert models.absent() == {"timm": "pip install timm"}


def test_every_row_has_ours_and_its_bound() -> None:
    rows = models.rows()
    assert len({row.label for row in rows}) == len(rows)
    for row in rows:
        assert row.has("freqops")
        assert row.has("slice")
    assert {row.mode for row in rows if row.has("kornia")} == {"inference"}
    compiled = [row for row in rows if row.mode == models.COMPILED]
    assert [row.network for row in compiled] == ["resnet18"]
    assert not compiled[0].has("timm")


def test_ratios_are_of_the_same_round() -> None:
    rounds = {
        "freqops": [1.0, 20.0, 3.0],
        "slice": [1.0, 10.0, 1.0],
        "torch": [2.0, 20.0, 2.0],
        "pool_only, freqops": [1.0, 1.0, 1.0],
        "plain": [1.0, 1.0, 2.0],
    }
    found = models.ratios(rounds)
    assert found["freqops / slice"] == 2.0
    assert found["torch / freqops"] == 1.0
    assert found["pool_only, freqops / plain"] == 1.0
    del rounds["pool_only, freqops"], rounds["plain"]
    assert set(models.ratios(rounds)) == {"slice / freqops", "torch / freqops", "freqops / slice"}


def test_a_row_is_measured_and_shown() -> None:
    """Of a network that is a row's in all but its size."""
    row = models.Row("resnet18", "inference", "NHWC")
    measured = models.measured(row, Effort(0.0, 1, quick=True))
    roles = {entry["name"]: entry["role"] for entry in measured["contenders"]}
    assert roles["freqops"] == roles["pool_only, freqops"] == "ours"
    assert roles["torch"] == "peer"
    text = model_tables.models_section({"environment": ENVIRONMENT, "models": [measured]})
    assert "| resnet18 inference, NHWC | 2 of 64 |" in text


@pytest.mark.parametrize("mode", ["inference", "inference, AMP"])
def test_another_function_is_no_peer(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(models.ROLES, "slice", "peer")
    with pytest.raises(AssertionError, match="slice and freqops differ by"):
        models.measured(models.Row("resnet18", mode, "NCHW"), Effort(0.0, 1, quick=True))


def test_recipes_are_counted_for_an_image_and_timed() -> None:
    row = models.Row("resnet18", models.RECIPES, "NCHW")
    measured = models.measured(row, Effort(0.0, 1, quick=True))
    assert measured["sites"] == 9
    assert measured["recipes"]["pool_only"]["sites"] == 1
    assert measured["recipes"]["zhang"]["macs"] > 100 * measured["recipes"]["pool_only"]["macs"]
    assert set(measured["ratios"]) == {f"{name} / plain" for name in measured["recipes"]}
    table = model_tables.recipes_table({"models": [measured]})
    assert table is not None
    head, _, sites, *_, times = table.splitlines()
    assert sites.startswith("| resnet18, sites converted | 9 in all | 8 |")
    assert times.startswith("| ms of 2 images, NCHW |")
    assert head.count("`") == 2 * len(measured["recipes"])


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


ENVIRONMENT: dict[str, Any] = dict.fromkeys(
    ("date", "cpu", "cores", "load", "commit", "torch", "torchvision", "python"), "?"
) | {"allocator": "default", "threads": "2", "level": "avx512"}


def models_result(**ratios: float) -> dict[str, Any]:
    """A row in which every network takes 100 ms by its median; what is judged is the ratios."""
    roles = {"timm": "peer", "torch": "peer", "pool_only, torch": "peer", **models.ROLES}
    found = {
        "freqops / slice": 1.031,
        "torch / freqops": 1.2,
        "timm / freqops": 1.1,
        "kornia / freqops": 0.5,
        "pool_only, freqops / plain": 0.99,
        "pool_only, torch / plain": 1.1,
    }
    row = {
        "label": "resnet18 training, NCHW",
        "images": 8,
        "side": 224,
        "contenders": [
            {"name": name, "role": role, "median": 100.0} for name, role in roles.items()
        ],
        "ratios": found | {f"{name} / freqops": ratio for name, ratio in ratios.items()},
        "allowed": models.ALLOWED,
    }
    return {"environment": ENVIRONMENT, "models": [row], "absent": {"some": "pip install some"}}


def test_models_section_judges_by_ratio() -> None:
    text = model_tables.models_section(models_result())
    (row,) = [line for line in text.splitlines() if line.startswith("| resnet18")]
    expected = (
        "| 100 | +3.1% **missed** | timm 100 | 1.10 | torch 100 (1.20), *kornia* 100 (0.50) |"
    )
    assert expected in row
    assert row.endswith("| 100 | -1.0% met | +10.0% |")
    assert (
        "Within the bounds: 1 of 2. Beyond:\n\n- resnet18 training, NCHW: freqops / slice" in text
    )
    assert "of the same function:\n\n- none" in text  # kornia's is another
    assert "Not at hand: some (`pip install some`)" in text


def test_a_faster_peer_is_listed_before_the_table() -> None:
    text = model_tables.models_section(models_result(torch=0.9))
    losses, table = text.split("| --- |", 1)
    assert "- resnet18 training, NCHW: 0.90, torch" in losses
    assert "| torch 100 | **0.90** | timm 100 (1.10), " in table


def test_results_of_before_peers_took_part_are_still_shown() -> None:
    result = models_result()
    del result["absent"]
    for entry in result["models"][0]["contenders"]:
        del entry["role"]
    text = model_tables.models_section(result)
    assert "| +3.1% **missed** |  |  |  | 100 | -1.0% met |" in text
    assert model_tables.recipes_table(result) is None
