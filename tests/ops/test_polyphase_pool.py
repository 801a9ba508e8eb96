"""polyphase_pool2d, polyphase_unpool2d and their module."""

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from ops.cases import (
    DTYPES,
    assert_compiles,
    assert_differentiable,
    assert_maps_over,
    assert_matches,
    assert_pooled_layout,
    assert_registered,
    layouts,
    placed,
)
from torch import Tensor

import freqops
from freqops import reference
from freqops.ops import polyphase_pool
from freqops.ops.polyphase_pool import CRITERIA

pytestmark = pytest.mark.usefixtures("device")

DOUBLE = torch.float64
SIZES = [(1, 1), (1, 2), (2, 1), (2, 2), (3, 5), (8, 7), (7, 8), (16, 12), (5, 33)]
every_criterion = pytest.mark.parametrize("criterion", CRITERIA)


@every_criterion
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_matches_reference(size: tuple[int, int], criterion: str) -> None:
    """On maps that are not square too, where the published code is wrong.

    Numbers are multiples of 2^-8: small maps have ties, which rounding would decide by chance.
    """
    x = torch.randint(-999, 999, (5, 3, *size)).double() / 256
    for taps in (1, 2, 3, 5, (1, 4), torch.randint(1, 9, (3, 3)).double()):
        for mode in ("circular", "reflect"):
            options: dict[str, Any] = {"criterion": criterion, "padding_mode": mode}
            y, index = freqops.polyphase_pool2d(x, taps, **options)
            expected, components = reference.polyphase_pool2d(x, taps, **options)
            assert torch.equal(index, components)
            assert_matches(y, expected)
            again, same = freqops.polyphase_pool2d(x, taps, index=3 - index, **options)
            assert torch.equal(same, 3 - index)
            expected, _ = reference.polyphase_pool2d(x, taps, index=3 - index, **options)
            assert_matches(again, expected)


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_unpool_matches_reference(size: tuple[int, int]) -> None:
    y = torch.randn(6, 3, (size[0] + 1) // 2, (size[1] + 1) // 2, dtype=DOUBLE)
    index = torch.tensor([0, 1, 2, 3, 2, 1])
    for taps in (1, 3, 4):
        x = freqops.polyphase_unpool2d(y, index, size, taps)
        assert x.shape[-2:] == size
        assert_matches(x, reference.polyphase_unpool2d(y, index, size, taps))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_matches_reference_in_every_dtype_and_layout(dtype: torch.dtype) -> None:
    values = (torch.randn(4, 3, 9, 14, dtype=DOUBLE) * 4).to(dtype)
    expected, components = reference.polyphase_pool2d(values.double(), 3)
    back = reference.polyphase_unpool2d(expected.to(dtype).double(), components, (9, 14))
    for _, x in layouts(values):
        y, index = freqops.polyphase_pool2d(x, 3)
        assert torch.equal(index, components)
        assert_pooled_layout(x, y)
        assert_matches(y, expected)
        again = freqops.polyphase_unpool2d(y, index, (9, 14))
        assert_pooled_layout(y, again)
        assert_matches(again, back)


def test_norms_of_half_types_do_not_overflow() -> None:
    x = torch.full((1, 1, 64, 64), 200.0).half()
    x[..., 1::2, 1::2] = 210
    assert freqops.polyphase_pool2d(x)[1].tolist() == [3]


def test_components_are_numbered_column_by_column() -> None:
    for number, (row, column) in enumerate(((0, 0), (1, 0), (0, 1), (1, 1))):
        x = torch.zeros(1, 2, 6, 4)
        x[..., row::2, column::2] = 1
        y, index = freqops.polyphase_pool2d(x)
        assert index.tolist() == [number]
        assert bool((y == 1).all())
        assert torch.equal(freqops.polyphase_unpool2d(y, index, (6, 4)), x)


@every_criterion
def test_the_lowest_index_wins_a_tie(criterion: str) -> None:
    x = torch.full((3, 2, 6, 4), 1.5)
    assert freqops.polyphase_pool2d(x, criterion=criterion)[1].tolist() == [0, 0, 0]
    x[..., 0::2, 0::2] = -3.0 if criterion == "non_abs_max" else 0.0
    if not criterion.endswith("_min"):
        assert freqops.polyphase_pool2d(x, criterion=criterion)[1].tolist() == [1, 1, 1]


@pytest.mark.parametrize("shape", [(6, 4), (3, 6, 4), (2, 5, 3, 6, 4)], ids=str)
def test_takes_any_leading_dimensions(shape: tuple[int, ...]) -> None:
    x = torch.randn(shape, dtype=DOUBLE)
    y, index = freqops.polyphase_pool2d(x, 3)
    assert index.shape == shape[:-3]
    flat = x.reshape(-1, *((1,) * (3 - x.dim())), *shape[-3:])
    expected, components = reference.polyphase_pool2d(flat, 3)
    assert_matches(y, expected.reshape(y.shape))
    assert torch.equal(index.flatten(), components)
    back = freqops.polyphase_unpool2d(y, index, shape[-2:])
    assert back.shape == shape


def test_takes_empty_batches() -> None:
    y, index = freqops.polyphase_pool2d(torch.zeros(0, 3, 5, 6))
    assert y.shape == (0, 3, 3, 3)
    assert index.shape == (0,)


# --- derivatives and registration ---------------------------------------------------------------


@pytest.mark.parametrize("size", [(4, 6), (3, 5)], ids=str)
def test_gradients(size: tuple[int, int]) -> None:
    x, taps = torch.randn(3, 2, *size, dtype=DOUBLE), torch.rand(3, dtype=DOUBLE)
    assert_differentiable(lambda x, taps: freqops.polyphase_pool2d(x, taps)[0], x, taps)
    y, index = freqops.polyphase_pool2d(x)
    assert_differentiable(lambda y, taps: freqops.polyphase_unpool2d(y, index, size, taps), y, taps)


def test_gradient_flows_through_the_chosen_component_only() -> None:
    x = torch.randn(4, 3, 8, 6, requires_grad=True)
    y, index = freqops.polyphase_pool2d(x)
    assert not index.requires_grad
    y.sum().backward()
    expected = freqops.polyphase_unpool2d(torch.ones_like(y), index, (8, 6))
    assert torch.equal(x.grad, expected)


def test_maps() -> None:
    x = torch.randn(3, 2, 4, 5, 6, dtype=DOUBLE)
    assert_maps_over(lambda x: freqops.polyphase_pool2d(x, 3)[0], (x, [0, 1, -1]))
    y, index = freqops.polyphase_pool2d(x)
    assert_maps_over(
        lambda y, index: freqops.polyphase_unpool2d(y, index, (5, 6), 3),
        (y, [None, 0, 2]),
        (index, [None, 0, 1]),
    )


def test_compiles() -> None:
    """One graph for even and odd sizes would need a branch; one for each, no value is looked at."""
    cases = (([(8, 10), (12, 6)], ("l2", "l1_min")), ([(7, 9), (5, 3)], ("linf",)))
    for sizes, criteria in cases:
        calls = [(torch.randn(4, 3, *size),) for size in sizes]
        for criterion in criteria:
            assert_compiles(
                lambda x, criterion=criterion: freqops.polyphase_pool2d(x, 3, criterion=criterion),
                *calls,
            )
        y, index = freqops.polyphase_pool2d(calls[0][0])
        size = sizes[0]
        assert_compiles(lambda y, i, n=size: freqops.polyphase_unpool2d(y, i, n, 3), (y, index))


def test_exports() -> None:
    layer = freqops.PolyphasePool2d(3)
    x = torch.randn(2, 3, 8, 10)
    batch = {0: torch.export.Dim("batch")}
    program = torch.export.export(layer, (x,), dynamic_shapes={"x": batch})
    x = torch.randn(5, 3, 8, 10)
    torch.testing.assert_close(program.module()(x), layer(x))


OPS = torch.ops.freqops


@pytest.mark.parametrize("last", [False, True], ids=["contiguous", "channels_last"])
@pytest.mark.parametrize("circular", [True, False], ids=["circular", "zeros"])
def test_compositions_equal_the_kernels(circular: bool, last: bool) -> None:
    """What runs on CUDA, values and layout, both ways."""
    index = torch.tensor([2, 0, 1, 3])
    for size in SIZES:
        x = torch.randn(4, 3, *size, dtype=DOUBLE)
        if last:
            x = x.contiguous(memory_format=torch.channels_last)
        for norm in ("l2", "l1", "linf", "non_abs_max"):
            assert_matches(polyphase_pool.composed_norms(x, norm), OPS.polyphase_norms(x, norm))
        y = OPS.polyphase_pool(x, index, circular)
        composed = polyphase_pool.composed_pool(x, index, circular)
        assert torch.equal(composed, y)
        assert composed.stride() == y.stride()
        back = OPS.polyphase_unpool(y, index, size, circular)
        composed = polyphase_pool.composed_unpool(y, index, size, circular)
        assert torch.equal(composed, back)
        assert composed.stride() == back.stride()


@pytest.mark.parametrize("size", [(4, 6), (5, 3)], ids=str)
def test_opcheck(size: tuple[int, int]) -> None:
    x, index = torch.randn(4, 3, *size), torch.tensor([2, 0, 1, 3])
    assert_registered(OPS.polyphase_norms, (x, "l2"))
    for leaf in (x.requires_grad_(), x.detach().requires_grad_()):
        assert_registered(OPS.polyphase_pool, (leaf, index, True))
    y = torch.randn(4, 3, (size[0] + 1) // 2, (size[1] + 1) // 2, requires_grad=True)
    assert_registered(OPS.polyphase_unpool, (y, index, size, False))


@pytest.mark.parametrize("criterion", ["l2", "linf"])
def test_nan_stays_in_its_image(criterion: str) -> None:
    x = torch.randn(3, 2, 7, 20)
    x[1, 1, 4, 9] = torch.nan
    y, index = freqops.polyphase_pool2d(x, criterion=criterion)
    assert index[1] == 2  # NaN counts as the largest
    assert y.isnan().flatten(1).sum(1).tolist() == [0, 1, 0]


def test_threads_change_no_bit() -> None:
    threads = torch.get_num_threads()
    for x in (torch.randn(3, 37, 65, 64), torch.randn(2, 64, 57, 30)[:, :, :, ::2]):
        for one in (x, x.contiguous(memory_format=torch.channels_last)):
            expected = OPS.polyphase_norms(one, "l2")
            try:
                torch.set_num_threads(1)
                alone = OPS.polyphase_norms(one, "l2")
            finally:
                torch.set_num_threads(threads)
            assert torch.equal(alone, expected)


# --- mathematics --------------------------------------------------------------------------------


@given(
    st.tuples(st.integers(1, 8), st.integers(1, 8)),
    st.integers(-9, 9),
    st.integers(-9, 9),
    st.sampled_from(CRITERIA),
    st.sampled_from([1, 2, 3, 5]),
)
def test_circular_shifts_move_the_result_exactly(
    half: tuple[int, int], down: int, right: int, criterion: str, taps: int
) -> None:
    """The same samples, bit for bit, moved: integers have no rounding that could break a tie."""
    size = [2 * side for side in half]
    count = 2 * size[0] * size[1]
    x = (torch.randperm(count).reshape(1, 2, *size) - count // 3).double() * 256
    y, index = freqops.polyphase_pool2d(x, taps, criterion=criterion)
    moved, other = freqops.polyphase_pool2d(
        x.roll((down, right), (-2, -1)), taps, criterion=criterion
    )
    row, column = int(index) % 2, int(index) // 2
    scores = _scores(x, taps, criterion)
    if (scores == scores.amax()).sum() > 1:  # a tie goes to the lowest index, wherever that moved
        return
    assert int(other) == (row + down) % 2 + 2 * ((column + right) % 2)
    steps = (row + down) // 2, (column + right) // 2
    assert torch.equal(moved, y.roll(steps, (-2, -1)))


def _scores(x: Tensor, taps: int, criterion: str) -> Tensor:
    x = reference.blur_pool2d(x, taps, 1, padding_mode="circular")
    parts = torch.stack([x[..., row::2, column::2] for row in (0, 1) for column in (0, 1)])
    parts = parts.flatten(1)
    if criterion == "non_abs_max":
        return parts.amax(1)
    if criterion == "linf":
        return parts.abs().amax(1)
    sums = (parts.abs() if "l1" in criterion else parts.square()).sum(1)
    return -sums if criterion.endswith("_min") else sums


def test_random_images_shift_exactly() -> None:
    x = torch.randn(8, 5, 16, 24)
    y, _ = freqops.polyphase_pool2d(x, 3)
    for shift in ((1, 0), (0, 1), (3, 5), (8, 2)):
        moved, _ = freqops.polyphase_pool2d(x.roll(shift, (-2, -1)), 3)
        assert torch.equal(moved.flatten(1).sort()[0], y.flatten(1).sort()[0])
    plain = x[..., ::2, ::2].flatten(1).sort()[0]
    shifted = x.roll((1, 0), (-2, -1))[..., ::2, ::2].flatten(1).sort()[0]
    assert not torch.equal(plain, shifted)  # what a plain slice does instead


# --- module and wrong input ---------------------------------------------------------------------


def test_module() -> None:
    x = torch.randn(2, 3, 8, 10)
    for taps in (1, 3, (1, 2), torch.rand(3)):
        module = freqops.PolyphasePool2d(placed(taps), criterion="l1")
        expected = freqops.polyphase_pool2d(x, placed(taps), criterion="l1")
        assert all(map(torch.equal, module(x), expected))
        assert not module.state_dict()
    index = torch.tensor([3, 0])
    assert torch.equal(
        module(x, index)[0], freqops.polyphase_pool2d(x, placed(taps), index=index)[0]
    )
    assert repr(freqops.PolyphasePool2d()) == (
        "PolyphasePool2d(taps=1, criterion='l2', padding_mode='circular')"
    )
    with pytest.raises(ValueError, match="PolyphasePool2d: criterion must be one of 'l2', 'l1'"):
        freqops.PolyphasePool2d(criterion="l3")


X, INDEX = torch.randn(2, 3, 6, 5), torch.zeros(2, dtype=torch.int64)


@pytest.mark.parametrize(
    ("arguments", "options", "error", "sentence"),
    [
        ((X.int(),), {}, TypeError, "x must be float32, float64, float16 or bfloat16"),
        ((X, 0), {}, ValueError, "taps must be at least 1, got 0"),
        ((X,), {"criterion": "max"}, ValueError, "criterion must be one of 'l2', 'l1', 'linf'"),
        ((X,), {"padding_mode": "same"}, ValueError, "padding_mode must be one of 'reflect', "),
        ((X,), {"index": 1}, TypeError, "index must be an int64 Tensor, got int"),
        ((X,), {"index": INDEX.int()}, TypeError, "index must be an int64 Tensor, got torch.int32"),
        ((X,), {"index": INDEX[:1]}, ValueError, "index must have shape [2], one for each sample"),
        ((X,), {"index": INDEX.to("meta")}, ValueError, "index must be on cpu like x, got meta"),
    ],
)
def test_rejects(
    arguments: tuple[Any, ...], options: dict[str, Any], error: type[Exception], sentence: str
) -> None:
    with pytest.raises(error) as caught:
        freqops.polyphase_pool2d(*placed(arguments), **placed(options))
    sentence = sentence.replace("on cpu", f"on {placed(X).device}")
    assert str(caught.value).startswith(f"polyphase_pool2d: {sentence}")


def test_unpool_rejects() -> None:
    x, index = placed((X, INDEX))
    with pytest.raises(ValueError, match=r"y must have shape \[\.\.\., 6, 6\] for output_size"):
        freqops.polyphase_unpool2d(x, index, (12, 11))
    with pytest.raises(ValueError, match="output_size must be at least 1, got 0"):
        freqops.polyphase_unpool2d(x, index, 0)
    with pytest.raises(ValueError, match=r"index must have shape \[2\], one for each sample of y"):
        freqops.polyphase_unpool2d(x, index[:1], (12, 10))


def test_rejects_indices_out_of_range() -> None:
    """Where that does not wait for a GPU."""
    x, index = X.cpu(), torch.tensor([0, 4], device="cpu")
    with pytest.raises(ValueError, match=r"index must be 0, 1, 2 or 3, got \[0, 4\]"):
        freqops.polyphase_pool2d(x, index=index)
