"""`make gpu`, as far as it goes without a GPU: what it plans, checks, reports and survives."""

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Literal

import gpu
import gpu_plan
import gpu_report
import gpu_scene
import pytest
import torch

import freqops
from freqops.bench.timing import Contender, Timing, interleave

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, str(ROOT / "benchmarks" / "gpu.py")]


# --- what is measured -----------------------------------------------------------------------------


def test_every_size_is_measured_large_in_both_types() -> None:
    rows = gpu_plan.plans()
    for size in gpu_plan.SIZES:
        for dtype, element_bytes in (("float32", 4), ("bfloat16", 2)):
            (row,) = (
                row
                for row in rows
                if (row.op, row.size, row.dtype, row.predicted_us) == ("filter", size, dtype, None)
            )
            moved = element_bytes * torch.Size(row.shape).numel()
            assert gpu_plan.HEADLINE_BYTES <= moved < 1.2 * gpu_plan.HEADLINE_BYTES
    predicted = {row.shape for row in rows if row.op == "filter" and row.predicted_us}
    assert predicted == set(gpu_plan.PREDICTED)
    ops = {"filter", "bank", "low_high", "mix", "blur", "max_blur", "spectral_pool"}
    assert {row.op for row in rows} == ops | {"depthwise", "band_limited"}


def test_pools_are_measured_in_both_layouts_types_and_directions() -> None:
    rows = [row for row in gpu_plan.plans() if row.pools]
    assert len(rows) == len({row.label for row in rows}) == 2 * 2 * 2 * 2 * 2
    assert {row.shape for row in rows} == {(64, 64, 112, 112), (64, 256, 56, 56)}
    for row in rows:
        target = row.target
        assert target is not None
        share = 0.8 if (row.dtype, row.backward) == ("float32", False) else 0.7
        times = 2.5 if row.backward else 3.0
        assert (target.times_naive, target.share_of_copy) == (times, share), row.label


@pytest.mark.parametrize("backward", [False, True])
@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize(("op", "reads_of_x"), [("blur", 0), ("max_blur", 1)])
def test_pool_scene(
    op: Literal["blur", "max_blur"],
    reads_of_x: int,
    layout: Literal["NCHW", "NHWC"],
    backward: bool,
) -> None:
    """Contenders agree with float64 and keep the layout, and the copy moves the op's bytes."""
    memory = torch.channels_last if layout == "NHWC" else torch.contiguous_format
    plan = gpu_plan.Plan(op, (2, 8, 14, 14), "float32", None, None, layout, backward)
    inputs = [torch.rand(plan.shape).contiguous(memory_format=memory) for _ in range(2)]
    scene = gpu_scene.scene(plan, inputs, torch.ops.freqops)
    assert [way.name for way in scene.ways] == ["freqops", "kernel", "naive", "copy"]
    assert scene.exact is not None
    exact = scene.exact([0, 1])
    for way in scene.ways[:3]:
        result = way.call(way.inputs[0])
        torch.testing.assert_close(result.double(), exact, atol=1e-6, rtol=1e-5)
        assert result.is_contiguous(memory_format=memory), way.name
        assert not torch.equal(result, way.call(way.inputs[1]))
    elements = 2 * 8 * (14 * 14 + 7 * 7 + (reads_of_x * 14 * 14 if backward else 0))
    assert scene.moved_bytes == 4 * elements
    assert 2 * scene.ways[-1].inputs[0].nbytes == pytest.approx(scene.moved_bytes, abs=4)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_spectral_pool_scene(dtype: str) -> None:
    plan = gpu_plan.Plan("spectral_pool", (2, 3, 28, 28), dtype)
    inputs = [torch.rand(plan.shape).to(getattr(torch, dtype)) for _ in range(2)]
    scene = gpu_scene.scene(plan, inputs, torch.ops.freqops)
    assert [way.name for way in scene.ways] == ["freqops", "kernel", "naive", "tuned", "copy"]
    assert scene.exact is not None
    exact = scene.exact([0, 1])
    for way in scene.ways[:4]:
        error = (way.call(way.inputs[0]).double() - exact).norm() / exact.norm()
        assert error < (1e-6 if dtype == "float32" else 4e-3), way.name
    assert scene.moved_bytes == inputs[0].element_size() * 2 * 3 * (28 * 28 + 14 * 14)


def test_convolutions_are_measured_forward_in_both_types_and_backward() -> None:
    rows = [row for row in gpu_plan.plans() if row.convolves]
    assert len(rows) == len({row.label for row in rows}) == 3 * 5 + 2
    depthwise = {(row.size, row.kernel) for row in rows if row.op == "depthwise"}
    assert depthwise == {(56, 31), (56, 13), (56, 7), (28, 29), (14, 27)}
    for side, kernel in depthwise:
        of_it = [row for row in rows if (row.size, row.kernel) == (side, kernel)]
        kinds = {(row.dtype, row.backward) for row in of_it}
        assert kinds == {("float32", False), ("float32", True), ("bfloat16", False)}
        (predicted,) = (row for row in of_it if row.predicted_us)
        assert (predicted.dtype, predicted.backward) == ("float32", False)


_TORCH = ["conv2d tf32", "conv2d NHWC"]
every_convolution = pytest.mark.parametrize(
    ("op", "kernel", "channels"), [("depthwise", 9, 3), ("band_limited", 3, 4)]
)


@pytest.mark.parametrize(
    ("op", "kernel", "channels"), [("depthwise", 9, 3), ("band_limited", 3, 4)]
)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_convolution_scene(
    op: Literal["depthwise", "band_limited"], kernel: int, channels: int, dtype: str
) -> None:
    """Forward all agree with float64; torch's own does not where frequencies are cut."""
    plan = gpu_plan.Plan(op, (2, channels, 14, 14), dtype, kernel=kernel)
    inputs = [torch.rand(plan.shape).to(getattr(torch, dtype)) for _ in range(2)]
    scene = gpu_scene.scene(plan, inputs, None)
    names = {way.name for way in scene.ways if way.role in ("ours", "peer")}
    same = {*_TORCH} if op == "depthwise" else set()
    assert names == {"freqops", "naive", "tuned"} | same
    assert scene.exact is not None
    exact = scene.exact([0, 1])
    for way in scene.ways:
        if way.role != "floor":
            error = (way.call(way.inputs[0]).double() - exact).norm() / exact.norm()
            assert error < (1e-6 if dtype == "float32" else 4e-3), way.name
        elif way.name != "copy":
            error = (way.call(way.inputs[0]).double() - exact).norm() / exact.norm()
            assert error > 0.05, way.name
    assert scene.moved_bytes == 2 * inputs[0].nbytes


@pytest.mark.parametrize(
    ("op", "kernel", "channels"), [("depthwise", 9, 3), ("band_limited", 3, 4)]
)
def test_convolution_backward_scene(
    op: Literal["depthwise", "band_limited"], kernel: int, channels: int
) -> None:
    """Both gradients, of every contender, are those that autograd makes of our function."""
    plan = gpu_plan.Plan(op, (2, channels, 14, 14), "float32", backward=True, kernel=kernel)
    inputs = [torch.rand(plan.shape) for _ in range(2)]
    torch.manual_seed(5)
    scene = gpu_scene.scene(plan, inputs, None)
    torch.manual_seed(5)
    groups = channels if op == "depthwise" else 1
    weight = torch.rand(channels, channels // groups, kernel, kernel) - 0.5
    x, g = scene.ways[0].inputs[0]
    x, weight = x.double().requires_grad_(), weight.double().requires_grad_()
    if op == "depthwise":
        y = freqops.fft_conv2d(x, weight, padding=kernel // 2, groups=groups, algorithm="fft")
    else:
        y = freqops.band_limited_conv2d(x, weight, padding=kernel // 2, band=4, fft_size=16)
    expected = torch.autograd.grad(y, [x, weight], g.double())
    checked = [way for way in scene.ways if way.role != "floor"]
    assert len(checked) == (5 if op == "depthwise" else 3)
    for way in checked:
        for one, exact in zip(way.call(way.inputs[0]), expected, strict=True):
            assert (one - exact).norm() < 2e-6 * exact.norm(), way.name
    assert scene.moved_bytes == 3 * inputs[0].nbytes


def test_only_the_sizes_asked_for() -> None:
    assert {row.size for row in gpu_plan.plans([7, 224])} == {7, 224}


def test_dry_run(tmp_path: Path) -> None:
    """All contenders of every row agree here, with few images, and nothing claims to be a time."""
    command = [*COMMAND, "--dry-run", "--only", "kernels,measure", "--sizes", "7,56"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    listed = [f"  {row.label}" for row in gpu_plan.plans([7, 56])]
    assert [line for line in done.stdout.splitlines() if line.startswith("  ")] == listed
    result = json.loads((ROOT / "build" / "gpu" / "dry-run.json").read_text())
    rows = result["steps"]["measure"]["rows"]
    assert [row["device"] for row in rows] == ["cpu"] * len(listed)
    errors = [entry["error"] for row in rows for entry in row["contenders"] if entry["error"]]
    assert len(errors) >= 3 * 5  # ours, naive and tuned in every filter row
    assert len(errors) >= 3 * 5 + 2 * 16  # ours and the composition in every row of a pool
    assert max(errors) < 3.5e-3  # torch's gradient of a pool is rounded to bfloat16 twice
    of_ours = [
        entry["error"]
        for row in rows
        for entry in row["contenders"]
        if entry["role"] == "ours" and entry["error"]
    ]
    assert max(of_ours) < 2.5e-3
    assert set(result["steps"]["kernels"]["by_size"]) == {"7", "56"}


@pytest.mark.skipif(torch.cuda.is_available(), reason="it would run")
def test_without_a_gpu_is_one_sentence() -> None:
    done = subprocess.run([*COMMAND, "--sizes", "7"], capture_output=True, text=True)
    assert done.returncode == 2
    sentence = "nvidia-smi shows no GPU here; --dry-run does what can be done without one"
    assert done.stderr.strip().endswith(sentence)


@pytest.mark.parametrize(
    ("option", "value", "sentence"),
    [
        ("--sizes", "7,9", "--sizes: must be of 7,8,14"),
        (
            "--only",
            "build,tea",
            "--only: must be of build, tests, sanitizer, kernels, measure, got",
        ),
    ],
)
def test_rejects(option: str, value: str, sentence: str) -> None:
    done = subprocess.run([*COMMAND, "--dry-run", option, value], capture_output=True, text=True)
    assert done.returncode == 2
    assert sentence in done.stderr


# --- steps fail alone -----------------------------------------------------------------------------


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> gpu.Run:
    monkeypatch.setattr(gpu, "BUILD", tmp_path)
    return gpu.Run([7], dry=True, end=time.monotonic() + 100)


def test_step_that_fails_leaves_what_it_found(
    run: gpu.Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(run: gpu.Run) -> dict[str, Any]:
        raise gpu.StepFailed("the tests failed", failures=3)

    monkeypatch.setitem(gpu.STEPS, "tests", broken)
    result = gpu.perform("tests", run)
    assert (result["failed"], result["failures"]) == ("the tests failed", 3)
    assert "tests: the tests failed" in capsys.readouterr().out


def test_command_is_ended_in_time(run: gpu.Run) -> None:
    code = "import time; print('begun', flush=True); time.sleep(60)"
    start = time.monotonic()
    with pytest.raises(gpu.StepFailed, match="sleeper did not end within 1 s") as caught:
        gpu.execute("sleeper", [sys.executable, "-c", code], 1)
    assert time.monotonic() - start < 20
    assert caught.value.found["output"] == "begun\n"


def test_command_that_fails_is_told(run: gpu.Run, tmp_path: Path) -> None:
    code = "import sys; print('why'); sys.exit(5)"
    with pytest.raises(gpu.StepFailed, match=r"step ended with 5; see .*step\.log"):
        gpu.execute("step", [sys.executable, "-c", code], 30)
    assert (tmp_path / "step.log").read_text() == "why\n"


def test_measuring_goes_on_behind_a_row_that_breaks_the_process(
    run: gpu.Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After row 0 the process ends; at row 1 another writes nothing; a third measures row 2."""
    plans = gpu_plan.plans([7])
    assert len(plans) == 3
    starts = []

    def script(self: gpu.Run, step: str, name: str, *options: Any) -> str:
        start = options[options.index("--start") + 1]
        starts.append(start)
        if start == 1:
            raise gpu.StepFailed("measure ended with -11")
        line = json.dumps({"number": start, "plan": plans[start].record()})
        with (tmp_path / "rows.jsonl").open("a") as file:
            file.write(line + "\n")
        if start == 0:
            raise gpu.StepFailed("measure ended with 1")
        return ""

    monkeypatch.setattr(gpu.Run, "python", script)
    with pytest.raises(
        gpu.StepFailed, match="not measured: filter 31888x64x7x7 bfloat16"
    ) as caught:
        gpu.measure(run)
    assert starts == [0, 1, 2]
    rows = caught.value.found["rows"]
    assert [row["number"] for row in rows] == [0, 1, 2]
    assert [row.get("failed") for row in rows] == [None, "measure ended with -11", None]


def test_row_without_time_is_told(run: gpu.Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu.Run, "python", lambda *_, **__: "")
    with pytest.raises(gpu.StepFailed, match="not measured: filter 15944x64x7x7 float32, filter"):
        gpu.measure(run)


@pytest.mark.parametrize(
    ("status", "said", "sentence"),
    [
        (0, "========= ERROR SUMMARY: 0 errors", None),
        (86, "========= ERROR SUMMARY: 2 errors", "memcheck ended with 86; .*racecheck ended with"),
        (0, "Device not supported", "memcheck came to no summary; racecheck came to no summary"),
    ],
    ids=["clean", "errors", "unsupported"],
)
def test_sanitizer_is_believed_only_with_its_summary(
    run: gpu.Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    status: int,
    said: str,
    sentence: str | None,
) -> None:
    program = tmp_path / "compute-sanitizer"
    program.write_text(f"#!/bin/sh\necho '{said}'\nexit {status}\n")
    program.chmod(0o755)
    run.dry = False
    monkeypatch.setattr(gpu, "tool", lambda name: str(program))
    if sentence is None:
        summary = "ERROR SUMMARY: 0 errors"
        assert gpu.sanitizer(run) == {"memcheck": summary, "racecheck": summary}
        return
    with pytest.raises(gpu.StepFailed, match=sentence):
        gpu.sanitizer(run)


def test_gpu_is_described(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\necho 'NVIDIA H200, 580.159.04, 9.0, 143771 MiB, 345 MHz'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    described = gpu.gpu()
    assert described is not None
    assert (described["name"], described["compute_cap"]) == ("NVIDIA H200", "9.0")
    assert gpu.file_name({"gpu": described}) == "gpu-nvidia-h200.json"


# --- what is reported -----------------------------------------------------------------------------


def row(**medians: float) -> dict[str, Any]:
    """A row as it is written, medians in milliseconds by contender."""
    plan = gpu_plan.plans([56])[0].record()
    roles = {"naive": "peer", "tuned": "peer", "copy": "floor"}
    contenders = [
        {"name": name, "role": roles.get(name, "ours"), "median": median, "error": 1e-7}
        for name, median in medians.items()
    ]
    return {"plan": plan, "in_graphs": False, "contenders": contenders}


def test_verdict_is_of_the_fastest_form() -> None:
    """5.5 times naive and 75 % of the copy are asked for at 56."""
    judged = gpu_report.verdict(
        row(freqops=0.11, plane=0.10, lines=0.2, naive=0.6, tuned=0.5, copy=0.08)
    )
    assert (judged.form, judged.met) == ("plane", True)
    assert judged.times_naive == pytest.approx(6.0)
    assert judged.times_tuned == pytest.approx(5.0)
    assert judged.share_of_copy == pytest.approx(0.8)
    assert (judged.microseconds, judged.op_microseconds) == pytest.approx((100, 110))


@pytest.mark.parametrize(("naive", "copy"), [(0.54, 0.08), (0.6, 0.07)])
def test_target_needs_both_numbers(naive: float, copy: float) -> None:
    judged = gpu_report.verdict(row(freqops=0.1, plane=0.1, naive=naive, tuned=0.5, copy=copy))
    assert judged.met is False


def test_pool_has_one_composition() -> None:
    measured = row(freqops=0.11, kernel=0.10, naive=0.4, copy=0.08)
    measured["plan"] = gpu_plan.plans([112])[-1].record()
    judged = gpu_report.verdict(measured)
    assert (judged.form, judged.times_tuned, judged.met) == ("kernel", None, True)
    (line,) = gpu_report.table([measured]).splitlines()[1:]
    label = "max_blur 64x64x112x112 bfloat16 NHWC backward"
    assert line.split() == f"{label} kernel 100 110 4.00 80% 2.5x 70% yes 1.0e-07".split()


def test_table_shows_misses_and_failures() -> None:
    measured = row(freqops=0.11, plane=0.10, lines=0.2, naive=0.4, tuned=0.3, copy=0.08)
    broken = {"plan": gpu_plan.plans([7])[0].record(), "failed": "RuntimeError: CUDA error"}
    text = gpu_report.table([measured, broken])
    head, line, last = text.splitlines()
    assert head.split()[:3] == ["row", "form", "us"]
    cells = "plane 100 110 4.00 3.00 80% 5.5x 75% NO 1.0e-07 lines 200"
    assert line.split()[3:] == cells.split()
    assert "FAILED" in last
    assert last.endswith("RuntimeError: CUDA error")
    assert gpu_report.summary([measured, broken]) == "targets met: 0 of 1; rows that failed: 1"


# --- times ----------------------------------------------------------------------------------------


def test_interleaving_asks_the_clock_it_is_given() -> None:
    asked = []

    def clock(contender: Contender, untimed: int, calls: int) -> list[float]:
        asked.append((contender.name, untimed, calls))
        return [1e-3 * (index + 1) for index in range(calls)]

    contenders = [Contender(name, lambda: None) for name in ("a", "b")]
    timings = interleave(contenders, seconds=0, least_rounds=3, clock=clock)
    # 2 ms make a turn: two calls of 1 ms, after an untimed one.
    assert sorted(asked[-6:]) == [("a", 1, 2)] * 3 + [("b", 1, 2)] * 3
    assert timings["a"] == Timing(1.0, 1.5, 1.0, 6, quartiles=(1.0, 2.0))


def test_rotation_goes_through_inputs_and_keeps_results() -> None:
    from freqops.bench.timing import Rotation

    inputs = [torch.full((2,), float(number)) for number in range(3)]
    rotation = Rotation(lambda x: 2 * x, inputs)
    for _ in range(4):
        rotation()
    assert [float(result[0]) for result in rotation.results] == [2.0, 4.0, 0.0]


@pytest.mark.cuda
def test_graph_replays_what_was_captured() -> None:
    from gpu_clock import captured, per_call
    from gpu_ways import Way

    from freqops.bench.timing import event_clock, inputs_beyond_cache

    x = torch.rand(64, 3, 32, 32, device="cuda")
    cache = torch.cuda.get_device_properties(0).L2_cache_size
    inputs = inputs_beyond_cache(x, cache)
    assert sum(y.nbytes for y in inputs) >= min(2 * cache, 64 * x.nbytes)
    way = Way("double", "ours", lambda x: 2 * x, inputs)
    contender = captured(way)
    for y in inputs:
        y.fill_(3.0)
    rotation = contender.run()
    torch.cuda.synchronize()
    assert all(torch.equal(result, torch.full_like(x, 6.0)) for result in rotation.results)
    timings = interleave([contender], seconds=0.1, clock=event_clock)
    of_one = per_call(timings["double"], [way], "double")
    assert of_one.median == pytest.approx(timings["double"].median / len(inputs))
