"""The pooling benchmarks: what takes part, what is counted, how goals are judged; no times."""

import subprocess
import sys
from typing import Any

import pytest
import run
import tables
import torch
from case import Case, Goal
from interleave import Contender, Timing, check_agreement, interleave

pytest.importorskip("timm")
pytest.importorskip("kornia")

import models
import pooling


def contenders_of(row: pooling.Row) -> dict[str, Contender]:
    return {one.name: one for one in row.case().contenders}


@pytest.mark.parametrize("backward", [False, True])
@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize(("taps", "window"), [(3, 1), (4, 1), (7, 1), (3, 2), (4, 2)])
def test_peers_agree_and_others_run(taps: int, window: int, layout: str, backward: bool) -> None:
    row = pooling.Row((2, 4, 12, 12), taps, layout, window, backward)
    contenders = row.case().contenders
    check_agreement(contenders, 1e-5)
    roles = {one.name: one.role for one in contenders}
    assert roles["torch"] == "peer"
    assert ("torch NHWC" in roles) == (layout == "NCHW")
    assert roles["timm"] == ("other" if taps == 4 else "peer")  # it pads even filters otherwise
    assert roles["kornia (zeros)"] == "other"
    for one in contenders:
        one.run()


def test_gradient_rows_compare_gradients() -> None:
    """A peer whose outputs are right and whose gradient is not is found out."""
    row = pooling.Row((2, 4, 12, 12), 3, "NCHW", 2, backward=True)
    ours, *_ = row.case().contenders
    y, gradient = ours.run()
    wrong = Contender("wrong", lambda: (y, gradient + 0.1))
    with pytest.raises(AssertionError, match="wrong and freqops differ"):
        check_agreement([ours, wrong], 1e-4)


def test_layouts_are_those_of_the_row() -> None:
    for layout, memory in pooling.FORMATS.items():
        row = pooling.Row((2, 4, 12, 12), 3, layout, backward=True)
        y, gradient = contenders_of(row)["freqops"].run()
        assert y.is_contiguous(memory_format=memory)
        assert gradient.is_contiguous(memory_format=memory)


@pytest.mark.parametrize(
    ("window", "backward", "elements"),
    [
        (1, False, 64 + 16),
        (1, True, 2 * (64 + 16)),
        (2, False, 64 + 16),
        (2, True, 2 * (64 + 16) + 64),  # x once more, for where the maxima were
    ],
)
def test_least_bytes(window: int, backward: bool, elements: int) -> None:
    row = pooling.Row((2, 3, 8, 8), 3, "NCHW", window, backward)
    assert row.moved_bytes == 4 * 2 * 3 * elements
    floor = row.case().contenders[-1]
    assert floor.role == "floor"
    assert 2 * floor.run().nbytes == row.moved_bytes


# --- goals ----------------------------------------------------------------------------------------


def record(goals: list[Goal], **minima: float) -> dict[str, Any]:
    roles = {"freqops": "ours", "copy": "floor", "kornia": "other"}
    contenders = [Contender(name, lambda: None, roles.get(name, "peer")) for name in minima]  # type: ignore[arg-type]
    timings = {name: Timing(value, value, 0, 1) for name, value in minima.items()}
    return Case("table", "row", contenders, goals, moved_bytes=2_000_000).record(timings)


WARM = {"allocator": "warm", "level": "avx512"}


def test_every_goal_of_a_row_is_judged_against_its_own_peers() -> None:
    goals = [Goal(2.0, against=("fast",)), Goal(9.0, against=("slow", "slower"))]
    row = record(goals, freqops=1.0, fast=2.5, slow=8.0, slower=9.0, kornia=0.5, copy=0.5)
    (verdict,) = tables.verdicts(row, WARM)
    assert [(aim.ratio, aim.rival, aim.met) for aim in verdict.aims] == [
        (2.5, "fast", True),
        (8.0, "slow", False),
    ]
    assert verdict.ratio == 2.5  # kornia computes something else
    text = tables._table([row], WARM)
    assert "2.0 met vs fast; 9.0 **missed** (8.00) vs slow" in text
    assert text.splitlines()[-1].endswith("| 50% | 2.0 |")
    assert "0.5 / 0.5 (0.5x)" in text


def test_goal_of_an_allocator_counts_there_alone() -> None:
    goals = [Goal(2.0, default=5.0, against=("fast",)), Goal(3.0, against=("fast",))]
    row = record(goals, freqops=1.0, fast=4.0, copy=0.5)
    (warm,) = tables.verdicts(row, WARM)
    (default,) = tables.verdicts(row, {**WARM, "allocator": "default"})
    assert [aim.met for aim in warm.aims] == [True, True]
    assert [(aim.number, aim.met) for aim in default.aims] == [(5.0, False)]


def test_narrow_vectors_may_miss_by_a_fifth() -> None:
    row = record([Goal(5.0, against=("fast",))], freqops=1.0, fast=4.0, copy=0.5)
    (verdict,) = tables.verdicts(row, {**WARM, "level": "avx2"})
    assert [aim.met for aim in verdict.aims] == [True]


def test_goals_name_contenders_that_take_part() -> None:
    """A goal against nobody would fall back to the best of all peers without a word."""
    import bench_blur_pool
    import bench_max_blur_pool

    for module, window in ((bench_blur_pool, 1), (bench_max_blur_pool, 2)):
        for shape in pooling.SHAPES:
            for layout in pooling.FORMATS:
                small = pooling.Row((1, 2, 12, 12), 3, layout, window)
                names = {*contenders_of(small), "compiled"}
                row = pooling.Row(shape, 3, layout, window)
                goals = [*module.forward_goals(row), *module.gradient_goals(row)]
                assert goals or shape not in (pooling.LARGE, pooling.MIDDLE)
                for goal in goals:
                    assert names & set(goal.against), (row.label, goal)


# --- what is run ---------------------------------------------------------------------------------


def test_every_file_of_cases_belongs_to_one_suite() -> None:
    files = [file for suite in run.SUITES.values() for file in suite.files]
    assert sorted(files) == sorted(path.name for path in (run.FOLDER / "ops").glob("*.py"))


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
    assert sorted(results, key=run.reading_order) == results[::-1]


def test_unknown_suite_is_one_sentence() -> None:
    command = [sys.executable, run.__file__, "--suites", "pooling,tea"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2
    sentence = "--suites: must be of filters, pooling, spectral, models, memory, got tea"
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
