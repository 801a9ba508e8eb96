"""freqops.filters: responses against counting bin by bin, taps against their definitions."""

import math
from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from freqops import filters, reference

NORMS = ["l2", "linf", "l1"]


def signed(n: int) -> list[int]:
    """The signed frequency of each bin, as numpy's fftfreq times n."""
    return [k if 2 * k < n else k - n for k in range(n)]


def magnitude(row: Fraction, column: Fraction, norm: str) -> Fraction:
    """Squared, so that it stays rational."""
    row, column = abs(row), abs(column)
    return {"l2": row**2 + column**2, "linf": max(row, column) ** 2, "l1": (row + column) ** 2}[
        norm
    ]


def counted(size: tuple[int, int], cutoff: Fraction, norm: str, unit: str, inclusive: bool) -> Any:
    """The ideal response bin by bin, in rational numbers."""
    height, width = (1, 1) if unit == "bins" else size
    limit = (cutoff / 2 if unit == "nyquist" else cutoff) ** 2
    squares = [
        [
            magnitude(Fraction(row, height), Fraction(column, width), norm)
            for column in range(size[1] // 2 + 1)
        ]
        for row in signed(size[0])
    ]
    kept = [[v <= limit if inclusive else v < limit for v in row] for row in squares]
    return torch.tensor(kept, dtype=torch.float32)


@pytest.mark.parametrize(
    ("radius", "count"),
    [(4, 45), (8, 193), (12, 437), (16, 793), (20, 995), (22, 1023), (23, 1024), (0, 0)],
)
def test_published_radii_keep_as_many_bins(radius: int, count: int) -> None:
    """Bins of the full 32 x 32 plane inside the radii of Wang et al."""
    response = filters.low_pass((32, 32), radius, unit="bins")
    assert int(reference.full_response(response, (32, 32)).real.sum().round()) == count


@given(
    st.tuples(st.integers(1, 24), st.integers(1, 24)),
    st.integers(0, 60),
    st.sampled_from(NORMS),
    st.booleans(),
)
def test_ideal_in_bins_is_exact(
    size: tuple[int, int], quarters: int, norm: filters.Norm, inclusive: bool
) -> None:
    actual = filters.low_pass(size, quarters / 4, unit="bins", norm=norm, inclusive=inclusive)
    assert torch.equal(actual, counted(size, Fraction(quarters, 4), norm, "bins", inclusive))


@given(
    st.tuples(st.integers(1, 24), st.integers(1, 24)),
    st.integers(0, 24),
    st.integers(1, 48),
    st.sampled_from(NORMS),
    st.sampled_from(["cycles", "nyquist"]),
    st.booleans(),
    st.booleans(),
)
def test_ideal_on_a_bin_is_exact(
    size: tuple[int, int],
    numerator: int,
    denominator: int,
    norm: filters.Norm,
    unit: filters.Unit,
    inclusive: bool,
    single: bool,
) -> None:
    """A cutoff that is a rounded fraction, which many bins sit on, means the fraction."""
    cutoff: float | Tensor = numerator / denominator
    if single:
        cutoff = torch.tensor(cutoff, dtype=torch.float32)
    actual = filters.low_pass(size, cutoff, norm=norm, unit=unit, inclusive=inclusive)
    exact = counted(size, Fraction(numerator, denominator), norm, unit, inclusive)
    assert torch.equal(actual, exact)


@pytest.mark.parametrize("n", [10, 32, 50, 224, 999])
def test_every_bin_of_a_row_as_cutoff(n: int) -> None:
    for k in range(n // 2 + 1):
        assert filters.low_pass(n, k / n).sum() == k
        assert filters.low_pass(n, k / n, inclusive=True).sum() == k + 1
        assert filters.low_pass(n, torch.tensor(k / n)).sum() == k
        assert filters.low_pass(n, 2 * k / n, unit="nyquist").sum() == k


def test_diagonal_bin_as_cutoff() -> None:
    """sqrt(2) / 4 and 0.1 = |(3, 4)| / 50 are on a bin, though their squares round."""
    assert filters.low_pass((4, 4), math.sqrt(2) / 4)[1, 1] == 0
    assert filters.low_pass((4, 4), math.sqrt(2) / 4, inclusive=True)[1, 1] == 1
    assert filters.low_pass((50, 50), 0.1)[3, 4] == 0
    assert filters.low_pass((50, 50), 0.1, inclusive=True)[4, 3] == 1


def test_extreme_cutoffs() -> None:
    for kind in filters.KINDS:
        assert not filters.low_pass((7, 8), 0, kind=kind).any()  # type: ignore[arg-type]
        everything = filters.low_pass((7, 8), math.inf, kind=kind)  # type: ignore[arg-type]
        assert torch.equal(everything, torch.ones(7, 5))
        tiny = filters.low_pass((7, 8), 1e-150, kind=kind)  # type: ignore[arg-type]
        assert tiny[0, 0] == 1
        assert tiny.sum() == 1
    inclusive = filters.low_pass((7, 8), 0, inclusive=True)
    assert inclusive[0, 0] == inclusive.sum() == 1


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("size", [(7, 8), (6, 15), (12,)], ids=str)
def test_smooth_kinds_follow_their_formula(size: tuple[int, ...], norm: filters.Norm) -> None:
    frequencies = [torch.fft.fftfreq(n, dtype=torch.float64).abs() for n in size[:-1]]
    frequencies.append(torch.fft.rfftfreq(size[-1], dtype=torch.float64))
    grid = torch.stack(torch.meshgrid(*frequencies, indexing="ij"))
    f = {"l2": grid.square().sum(0).sqrt(), "linf": grid.amax(0), "l1": grid.sum(0)}[norm]
    options: dict[str, Any] = {"norm": norm, "dtype": torch.float64}
    gaussian = filters.low_pass(size, 0.2, kind="gaussian", **options)
    torch.testing.assert_close(gaussian, torch.exp(-(f**2) / (2 * 0.2**2)))
    for order in (1, 2, 5):
        butterworth = filters.low_pass(size, 0.2, kind="butterworth", order=order, **options)
        torch.testing.assert_close(butterworth, 1 / torch.sqrt(1 + (f / 0.2) ** (2 * order)))


def test_butterworth_halves_the_power_at_the_cutoff() -> None:
    for order in (1, 2, 7):
        response = filters.low_pass(40, 0.25, kind="butterworth", order=order, dtype=torch.float64)
        assert float(response[10]) ** 2 == pytest.approx(0.5)


def test_gaussian_at_one_standard_deviation() -> None:
    response = filters.low_pass(40, 0.25, kind="gaussian", dtype=torch.float64)
    assert float(response[10]) == pytest.approx(math.exp(-0.5))


@pytest.mark.parametrize("kind", filters.KINDS)
def test_units_agree(kind: filters.Kind) -> None:
    cycles = filters.low_pass((16, 16), 0.2, kind=kind)
    assert torch.equal(cycles, filters.low_pass((16, 16), 0.4, kind=kind, unit="nyquist"))
    torch.testing.assert_close(cycles, filters.low_pass((16, 16), 3.2, kind=kind, unit="bins"))


@given(
    st.tuples(st.integers(1, 20), st.integers(1, 20)),
    st.floats(0, 1),
    st.sampled_from(filters.KINDS),
    st.booleans(),
)
def test_high_is_exactly_the_rest(
    size: tuple[int, int], cutoff: float, kind: filters.Kind, inclusive: bool
) -> None:
    low = filters.low_pass(size, cutoff, kind=kind, inclusive=inclusive)
    assert torch.equal(filters.high_pass(size, cutoff, kind=kind, inclusive=inclusive), 1 - low)


@given(
    st.tuples(st.integers(1, 20), st.integers(1, 20)),
    st.lists(st.floats(0, 0.9), min_size=1, max_size=5).map(sorted),
    st.sampled_from(NORMS),
    st.booleans(),
)
def test_bands_partition_the_plane(
    size: tuple[int, int], cutoffs: list[float], norm: filters.Norm, inclusive: bool
) -> None:
    edges = [0.0, *cutoffs, math.inf]
    bands = [
        filters.band_pass(size, low, high, norm=norm, inclusive=inclusive)
        for low, high in pairwise(edges)
    ]
    if inclusive:  # low < f <= high: DC is in none, being at 0
        bands.append(filters.low_pass(size, 0, inclusive=True))
    assert torch.equal(torch.stack(bands).sum(0), torch.ones(size[0], size[1] // 2 + 1))


def test_band_holds_its_lower_end() -> None:
    assert filters.band_pass(10, 0.1, 0.3).tolist() == [0, 1, 1, 0, 0, 0]
    assert filters.band_pass(10, 0.1, 0.3, inclusive=True).tolist() == [0, 0, 1, 1, 0, 0]
    assert filters.band_pass(10, 1, 3, unit="bins").tolist() == [0, 1, 1, 0, 0, 0]


@pytest.mark.parametrize("kind", filters.KINDS)
def test_tensor_cutoff_stacks(kind: filters.Kind) -> None:
    values = [0.1, 0.25, 0.4]
    cutoffs = torch.tensor(values, dtype=torch.float64)
    for build in (filters.low_pass, filters.high_pass):
        stacked = build((6, 9), cutoffs, kind=kind)
        assert stacked.shape == (3, 6, 5)
        assert stacked.dtype == torch.float64
        for response, value in zip(stacked, values, strict=True):
            assert torch.equal(response, build((6, 9), value, kind=kind, dtype=torch.float64))
    assert filters.low_pass(9, cutoffs[0], kind=kind).shape == (5,)
    bands = filters.band_pass(9, cutoffs, cutoffs + 0.1, kind=kind)
    assert bands.shape == (3, 5)


@pytest.mark.parametrize("kind", ["gaussian", "butterworth"])
@pytest.mark.parametrize("unit", filters.UNITS)
def test_smooth_kinds_are_differentiable(kind: filters.Kind, unit: filters.Unit) -> None:
    cutoffs = torch.tensor([0.3, 0.7], dtype=torch.float64, requires_grad=True)

    def response(c: Tensor) -> Tensor:
        return filters.low_pass((4, 5), c, kind=kind, unit=unit, norm="linf")

    assert torch.autograd.gradcheck(response, cutoffs, check_forward_ad=True)
    assert torch.autograd.gradgradcheck(response, cutoffs)
    batched = torch.vmap(lambda c: filters.low_pass((4, 5), c, kind=kind, unit=unit))(cutoffs)
    torch.testing.assert_close(batched, filters.low_pass((4, 5), cutoffs, kind=kind, unit=unit))


def test_cutoff_of_zero_has_a_finite_gradient() -> None:
    cutoffs = torch.tensor([0.0, 0.3], dtype=torch.float64, requires_grad=True)
    filters.low_pass((4, 5), cutoffs, kind="gaussian").sum().backward()
    assert cutoffs.grad is not None
    assert cutoffs.grad.isfinite().all()


def test_dtype_and_device_of_the_result() -> None:
    assert filters.low_pass(8, 0.1).dtype == torch.float32
    assert filters.low_pass(8, 0.1, dtype=torch.bfloat16).dtype == torch.bfloat16
    assert filters.low_pass(8, torch.tensor(0.1, dtype=torch.float64)).dtype == torch.float64
    assert filters.low_pass(8, torch.tensor(3), unit="bins").dtype == torch.float32
    assert filters.low_pass(8, 0.1, device="meta").device.type == "meta"
    for taps in (
        filters.binomial_taps(3, dtype=torch.float64),
        filters.gaussian_taps(3, 1.0, dtype=torch.float64),
        filters.kaiser_taps(3, 0.2, dtype=torch.float64),
        filters.lanczos_taps(3, 2, dtype=torch.float64),
    ):
        assert taps.dtype == torch.float64
    assert filters.binomial_taps(3).dtype == torch.float32


def test_takes_numbers_of_numpy() -> None:
    size = (np.int64(6), np.int32(8))
    response = filters.low_pass(size, np.float32(0.25))  # type: ignore[arg-type]
    assert torch.equal(response, filters.low_pass((6, 8), 0.25))


@pytest.mark.parametrize(
    ("arguments", "options", "error", "sentence"),
    [
        ((8, -1), {}, ValueError, "low_pass: cutoff must not be negative or NaN, got -1"),
        ((8, math.nan), {}, ValueError, "low_pass: cutoff must not be negative or NaN, got nan"),
        (
            (8, torch.tensor([1.0, math.nan])),
            {},
            ValueError,
            "low_pass: cutoff must not be negative or NaN, got [1.0, nan]",
        ),
        ((8, "1"), {}, TypeError, "low_pass: cutoff must be a number or a Tensor, got str"),
        ((8, True), {}, TypeError, "low_pass: cutoff must be a number or a Tensor, got bool"),
        (
            (8, torch.tensor(1j)),
            {},
            TypeError,
            "low_pass: cutoff must be real, got torch.complex64",
        ),
        ((0, 1), {}, ValueError, "low_pass: size must be at least 1, got 0"),
        (((8, 0), 1), {}, ValueError, "low_pass: size must be at least 1, got 0"),
        ((8.0, 1), {}, TypeError, "low_pass: size must be an integer, got float"),
        (
            ((2, 3, 4), 1),
            {},
            ValueError,
            "low_pass: size must be an integer or (H, W), got (2, 3, 4)",
        ),
        (
            (8, 1),
            {"kind": "brick"},
            ValueError,
            "low_pass: kind must be one of 'ideal', 'butterworth', 'gaussian', got 'brick'",
        ),
        (
            (8, 1),
            {"norm": 2},
            ValueError,
            "low_pass: norm must be one of 'l2', 'linf', 'l1', got 2",
        ),
        (
            (8, 1),
            {"unit": "hz"},
            ValueError,
            "low_pass: unit must be one of 'cycles', 'nyquist', 'bins', got 'hz'",
        ),
        ((8, 1), {"order": 0}, ValueError, "low_pass: order must be at least 1, got 0"),
        ((8, 1), {"order": 1.5}, TypeError, "low_pass: order must be an integer, got float"),
    ],
)
def test_rejects(
    arguments: Any, options: dict[str, Any], error: type[Exception], sentence: str
) -> None:
    with pytest.raises(error) as caught:
        filters.low_pass(*arguments, **options)
    assert str(caught.value) == sentence


def test_rejects_under_its_own_name() -> None:
    with pytest.raises(ValueError, match="high_pass: cutoff must not be negative"):
        filters.high_pass(8, -1)
    with pytest.raises(ValueError, match="band_pass: high must not be negative"):
        filters.band_pass(8, 0.1, -1)
    with pytest.raises(ValueError, match="low must not be above high, got"):
        filters.band_pass(8, 0.3, 0.1)


# --- taps ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", range(1, 10))
def test_taps_are_symmetric_and_sum_to_one(n: int) -> None:
    for taps in (
        filters.binomial_taps(n, dtype=torch.float64),
        filters.gaussian_taps(n, 1.3, dtype=torch.float64),
        filters.gaussian_taps(n, 1e-3, dtype=torch.float64),
        filters.kaiser_taps(n, 0.25, dtype=torch.float64),
        filters.kaiser_taps(n, 0.1, 0.0, dtype=torch.float64),
        filters.lanczos_taps(n, 3, dtype=torch.float64),
    ):
        assert taps.shape == (n,)
        assert float(taps.sum()) == pytest.approx(1)
        torch.testing.assert_close(taps, taps.flip(0))


def test_binomial_taps() -> None:
    assert filters.binomial_taps(1).tolist() == [1]
    assert filters.binomial_taps(2).tolist() == [0.5, 0.5]
    assert filters.binomial_taps(3).tolist() == [0.25, 0.5, 0.25]
    assert (16 * filters.binomial_taps(5)).tolist() == [1, 4, 6, 4, 1]
    for n in range(2, 8):  # Nyquist is removed
        assert abs(filters.frequency_response(filters.binomial_taps(n), 8)[-1]) < 1e-7


def test_gaussian_taps() -> None:
    ratio = filters.gaussian_taps(7, 2.0, dtype=torch.float64)
    assert float(ratio[4] / ratio[3]) == pytest.approx(math.exp(-1 / 8))


def test_kaiser_taps_pass_and_stop() -> None:
    gain = filters.frequency_response(filters.kaiser_taps(41, 0.25, 5.0), 400).abs()
    assert float((gain[:72] - 1).abs().max()) < 4e-3
    assert float(gain[100]) == pytest.approx(0.5, abs=0.01)
    assert float(gain[128:].max()) < 10 ** (-50 / 20)


def test_kaiser_window_is_numpys() -> None:
    taps = filters.kaiser_taps(9, 0.25, 7.0, dtype=torch.float64)
    expected = np.sinc(0.5 * (np.arange(9) - 4)) * np.kaiser(9, 7.0)
    torch.testing.assert_close(taps, torch.from_numpy(expected / expected.sum()))


def test_lanczos_taps() -> None:
    taps = filters.lanczos_taps(8, 2, dtype=torch.float64)  # for downsampling by 2
    time = (np.arange(8) - 3.5) / 2
    expected = np.sinc(time) * np.sinc(time / 2)
    torch.testing.assert_close(taps, torch.from_numpy(expected / expected.sum()))


@pytest.mark.parametrize("size", [1, 2, 3, 8, 9, 20])
@pytest.mark.parametrize("origin", [0, 1, 4])
def test_frequency_response(size: int, origin: int) -> None:
    taps = torch.randn(3, 5, dtype=torch.float64)
    wrapped = torch.zeros(3, size, dtype=torch.float64)
    for j in range(5):
        wrapped[:, (j - origin) % size] += taps[:, j]
    response = filters.frequency_response(taps, size, origin=origin)
    torch.testing.assert_close(response, torch.fft.rfft(wrapped))


def test_frequency_response_of_centred_taps_is_real() -> None:
    response = filters.frequency_response(filters.binomial_taps(5), 16, origin=2)
    assert response.dtype == torch.complex64
    assert float(response.imag.abs().max()) < 1e-7
    assert response[0].real == pytest.approx(1)


def test_frequency_response_is_differentiable() -> None:
    taps = torch.randn(4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda t: filters.frequency_response(t, 7), taps)
    assert filters.frequency_response(taps.detach().half(), 7).dtype == torch.complex64


@pytest.mark.parametrize(
    ("call", "error", "sentence"),
    [
        (
            lambda: filters.binomial_taps(0),
            ValueError,
            "binomial_taps: n must be at least 1, got 0",
        ),
        (
            lambda: filters.binomial_taps(2.0),  # type: ignore[arg-type]
            TypeError,
            "binomial_taps: n must be an integer, got float",
        ),
        (
            lambda: filters.gaussian_taps(3, 0.0),
            ValueError,
            "gaussian_taps: sigma must be above 0, got 0.0",
        ),
        (
            lambda: filters.kaiser_taps(3, 0.6),
            ValueError,
            "kaiser_taps: cutoff must be at most 0.5 cycles per sample, got 0.6",
        ),
        (
            lambda: filters.kaiser_taps(3, 0.1, -1.0),
            ValueError,
            "kaiser_taps: beta must not be negative, got -1.0",
        ),
        (
            lambda: filters.lanczos_taps(3, 0),
            ValueError,
            "lanczos_taps: a must be at least 1, got 0",
        ),
        (
            lambda: filters.frequency_response(torch.ones(3), 0),
            ValueError,
            "frequency_response: size must be at least 1, got 0",
        ),
        (
            lambda: filters.frequency_response(torch.ones(0), 4),
            ValueError,
            "frequency_response: taps must have shape [..., n], got [0]",
        ),
        (
            lambda: filters.frequency_response([1.0], 4),  # type: ignore[arg-type]
            TypeError,
            "frequency_response: taps must be a floating-point tensor, got list",
        ),
    ],
)
def test_taps_reject(call: Any, error: type[Exception], sentence: str) -> None:
    with pytest.raises(error) as caught:
        call()
    assert str(caught.value) == sentence
