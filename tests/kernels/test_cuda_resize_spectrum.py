"""The CUDA kernels of resize_spectrum, replayed on the host, against the CPU's in float64."""

import itertools
import math

import pytest
import torch
from kernels import cuda_replay
from torch import Tensor

import freqops  # noqa: F401  (registers the ops)

SIZES = [
    ((12, 12), (6, 6)),
    ((14, 10), (7, 5)),
    ((9, 15), (4, 8)),
    ((6, 6), (12, 12)),
    ((5, 8), (9, 16)),
    ((16, 16), (16, 8)),  # one axis stays
    ((7, 12), (11, 4)),  # one grows, one shrinks
    ((1, 40), (1, 21)),
    ((1, 1), (3, 2)),
    ((37, 41), (18, 20)),  # Bluestein's algorithm
    ((64, 96), (32, 48)),
    ((160, 200), (80, 100)),  # beyond shared memory: rows and columns by kernels of their own
]


def gains_for(size: tuple[int, int], target: tuple[int, int]) -> list[Tensor]:
    return [
        torch.randn(min(n, m) // 2 + 1, dtype=torch.float64) / n
        for n, m in zip(size, target, strict=True)
    ]


def resized(
    x: Tensor,
    gains: list[Tensor],
    target: tuple[int, int],
    corner: bool,
    *,
    backwards: bool = False,
) -> Tensor:
    with cuda_replay.device(backwards=backwards):
        y: Tensor = cuda_replay.ops().resize_spectrum_planes(x, *gains, list(target), corner)
    return y


@pytest.mark.parametrize("corner", [False, True])
@pytest.mark.parametrize(("size", "target"), SIZES)
def test_replay_against_float64(
    size: tuple[int, int], target: tuple[int, int], corner: bool
) -> None:
    x = torch.randn(3, *size)
    gains = gains_for(size, target)
    expected = torch.ops.freqops.resize_spectrum(x.double(), *gains, list(target), corner)
    y = resized(x, gains, target, corner)
    assert y.shape == expected.shape
    error = (y - expected).norm() / expected.norm()
    assert error < 1e-6
    assert torch.equal(resized(x, gains, target, corner, backwards=True), y)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_types_round_once(dtype: torch.dtype) -> None:
    x = torch.randn(2, 5, 20, 24).to(dtype)
    gains = gains_for((20, 24), (10, 12))
    y = resized(x, gains, (10, 12), True)
    in_float32 = resized(x.float(), gains, (10, 12), True)
    assert torch.equal(y, in_float32.to(dtype))


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_what_is_not_finite_stays_in_its_plane(value: float) -> None:
    x = torch.randn(5, 12, 14)
    gains = gains_for((12, 14), (6, 7))
    clean = resized(x, gains, (6, 7), False)
    x[2, 3, 4] = value
    y = resized(x, gains, (6, 7), False)
    assert y[2].isnan().all()
    others = [0, 1, 3, 4]
    torch.testing.assert_close(y[others], clean[others], rtol=0, atol=1e-6)


def test_empty_batch() -> None:
    x = torch.empty(0, 3, 8, 8)
    assert resized(x, gains_for((8, 8), (4, 4)), (4, 4), False).shape == (0, 3, 4, 4)


X, GAIN = torch.zeros(2, 6, 8), torch.ones(4, dtype=torch.float64)
WRONG = [
    ((X.double(), GAIN[:3], GAIN[:3], [4, 4], False), "x must be float32, float16 or bfloat16"),
    ((X.mT, GAIN[:3], GAIN[:3], [4, 4], False), "x must be a contiguous CPU tensor"),
    ((X, GAIN[:3], GAIN[:3], [4], False), "size must hold 2 numbers, got 1"),
    ((X, GAIN[:3], GAIN[:3], [0, 4], False), "the output must have 1 to"),
    ((X, GAIN[:2], GAIN[:3], [4, 4], False), "row_gains must hold 3 gains"),
    ((X, GAIN[:3], GAIN, [4, 4], False), "column_gains must hold 3 gains"),
    ((X, GAIN[:3].float(), GAIN[:3], [4, 4], False), "row_gains must be contiguous, float64"),
    ((torch.zeros(1, 2**20), GAIN[:1], GAIN[:3], [1, 4], False), "do not fit this device"),
]


@pytest.mark.parametrize(("arguments", "message"), WRONG, ids=[message for _, message in WRONG])
def test_wrong_calls(arguments: tuple[object, ...], message: str) -> None:
    with pytest.raises(RuntimeError, match=message):
        cuda_replay.ops().resize_spectrum_planes(*arguments)


def test_takes() -> None:
    takes = cuda_replay.ops().resize_spectrum_takes
    for size, target in itertools.product([(7, 7), (224, 224), (1, 4096)], repeat=2):
        assert takes(*size, *target)
    assert not takes(1, 2**20, 1, 4)
    assert not takes(0, 4, 2, 2)
