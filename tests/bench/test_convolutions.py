"""The rows of convolutions: who takes part, what is counted, which goals; no times."""

from typing import Any

import pytest
import torch
from torch.nn import functional

from freqops.bench import convolution_compositions as compositions
from freqops.bench import convolutions, peers
from freqops.bench.cases import fft_conv, operators
from freqops.bench.convolutions import Conv, both_layouts
from freqops.bench.timing import Contender, check_agreement

SMALL = (2, 4, 12, 10)
LINES = (2, 4, 50)


def contenders_of(conv: Conv) -> dict[str, Contender]:
    torch.manual_seed(0)
    return {one.name: one for one in conv.row().case().contenders}


@pytest.mark.parametrize("backward", [False, True])
@pytest.mark.parametrize("outputs", [None, 6])
@pytest.mark.parametrize("shape", [SMALL, LINES], ids=["planes", "lines"])
@pytest.mark.parametrize("taps", [3, 9])
def test_peers_of_exact_rows_agree(
    taps: int, shape: tuple[int, ...], outputs: int | None, backward: bool
) -> None:
    found = contenders_of(Conv(shape, taps, outputs, backward=backward))
    check_agreement(list(found.values()), 1e-4)
    roles = {name: one.role for name, one in found.items()}
    expected = {"freqops", "torch", "torch.fft", "always by spectrum", "copy"}
    expected |= {"torch NHWC"} if shape == SMALL else set()
    if outputs is None and peers.has("fft-conv-pytorch"):
        expected.add("fft-conv-pytorch")
    assert set(roles) == expected
    assert roles["always by spectrum"] == "other"


@pytest.mark.parametrize("backward", [False, True])
@pytest.mark.parametrize("cut", [0.0, 0.25, 0.5, 0.99])
@pytest.mark.parametrize("outputs", [None, 6])
@pytest.mark.parametrize("shape", [SMALL, LINES], ids=["planes", "lines"])
def test_peers_of_band_limited_rows_agree(
    shape: tuple[int, ...], outputs: int | None, cut: float, backward: bool
) -> None:
    """Grid and band are stated anew for the peers: they would differ if ours meant others."""
    found = contenders_of(Conv(shape, 5, outputs, compression=cut, backward=backward))
    check_agreement(list(found.values()), 1e-4)
    assert ("torch.fft pruned" in found) == (cut > 0)
    assert found["torch, no cut"].role == ("other" if cut else "peer")


def test_layouts_are_those_of_the_row() -> None:
    for conv in both_layouts(Conv(SMALL, 3)):
        found = contenders_of(conv)
        memory = torch.channels_last if conv.layout == "NHWC" else torch.contiguous_format
        assert found["freqops"].run().is_contiguous(memory_format=memory)
        other = "torch NCHW" if conv.layout == "NHWC" else "torch NHWC"
        assert not found[other].run().is_contiguous(memory_format=memory)


def test_half_types_are_rounded_once() -> None:
    found = contenders_of(Conv(SMALL, 9, dtype=torch.bfloat16))
    assert "fft-conv-pytorch" not in found  # its results are float32
    check_agreement(list(found.values()), 2 * torch.finfo(torch.bfloat16).eps)
    assert found["torch.fft"].run().dtype == torch.bfloat16


@pytest.mark.parametrize("backward", [False, True])
def test_training_has_another_weight_at_every_call(
    backward: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a spectrum kept from the call before would be what is timed."""
    seen: list[torch.Tensor] = []

    def noted(
        x: torch.Tensor, weight: torch.Tensor, algorithm: str = "auto", **options: Any
    ) -> torch.Tensor:
        seen.append(weight.detach().clone())
        return functional.conv2d(x, weight, **options)

    monkeypatch.setitem(convolutions._EXACT, 2, noted)
    ours = contenders_of(Conv(SMALL, 3, backward=backward))["freqops"]
    seen.clear()
    ours.run()
    ours.run()
    first, second = seen
    assert bool((first == second).all()) != backward
    torch.testing.assert_close(first, second, rtol=1e-5, atol=0)


def test_least_bytes() -> None:
    x, y, weight = 2 * 4 * 12 * 10, 2 * 6 * 12 * 10, 6 * 4 * 9
    assert Conv(SMALL, 3, 6).moved_bytes == 4 * (x + y + weight)
    assert Conv(SMALL, 3, 6, backward=True).moved_bytes == 8 * (x + y + weight)
    assert Conv(SMALL, 3, dtype=torch.bfloat16).moved_bytes == 2 * (2 * x + 4 * 9)


def test_goals_name_contenders_that_take_part() -> None:
    judged = [row for row in operators()["fft_conv"] if row.goals]
    assert [(row.shape, row.label) for row in judged] == [(fft_conv.MIDDLE, "31x31 on 4x96x56x56")]
    names = set(contenders_of(Conv(SMALL, 9)))
    assert [goal.warm for goal in judged[0].goals] == [3.3, 6.5]
    for goal in judged[0].goals:
        assert set(goal.against) <= names


def test_curve_is_over_the_kernel() -> None:
    curve = [row for row in operators()["fft_conv"] if row.point]
    assert [row.point.at for row in curve if row.point] == list(fft_conv.CURVE)
    assert {row.table for row in curve} == {
        "fft_conv2d, depthwise, float32: time per pixel over the taps"
    }


@pytest.mark.parametrize("least", [1, 2, 29, 58, 121, 1100])
def test_fast_sizes_have_small_factors(least: int) -> None:
    size = compositions.fast_size(least)
    even = [n for n in range(least, size + 1) if n % 2 == 0]
    smooth = [n for n in even if (2 * 3 * 5 * 7) ** 11 % n == 0]
    assert smooth == [size]


def test_large_kernels_are_named_after_their_networks() -> None:
    row = next(row for row in operators()["fft_conv"] if row.shape == (4, 512, 14, 14))
    assert row.case().record({})["layer"] == "RepLKNet-31B stage 3"
    assert Conv((1, 96, 56, 56), 7).row().case().record({})["layer"] == "ConvNeXt-T stage 1"
