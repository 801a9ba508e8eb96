"""What the tests of every op share: tolerances, sizes, layouts, the questions asked of all."""

from collections.abc import Callable, Iterator, Sequence
from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._pytree import tree_map_only

DTYPES = [torch.float64, torch.float32, torch.float16, torch.bfloat16]

# Largest error over the largest magnitude of the input's scale. The half types may miss by their
# own rounding, 2^-11 and 2^-8, once, and by what float32 does before it.
TOLERANCE = {
    torch.float64: 2e-14,
    torch.float32: 2e-6,
    torch.float16: 2.0**-11 + 2e-6,
    torch.bfloat16: 2.0**-8 + 2e-6,
}

# Odd, even, prime, non-square, one row, one column, one pixel, large primes, wider than any vector.
SIZES = [
    (1, 1),
    (1, 2),
    (2, 1),
    (1, 37),
    (101, 1),
    (2, 2),
    (3, 5),
    (7, 8),
    (8, 7),
    (14, 14),
    (15, 17),
    (16, 33),
    (32, 32),
    (37, 12),
    (30, 56),
    (127, 6),
    (5, 257),
]
LENGTHS = [1, 2, 3, 4, 7, 8, 16, 17, 31, 37, 64, 101, 127, 224, 257]


def half_size(size: Sequence[int]) -> tuple[int, ...]:
    return (*size[:-1], size[-1] // 2 + 1)


def random_response(*shape: int, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(*shape, dtype=dtype)


def assert_matches(actual: Tensor, expected: Tensor, scale: float | None = None) -> None:
    """Within the tolerance of its dtype of an expectation computed in float64 (from the same x)."""
    assert actual.shape == expected.shape
    if actual.numel() == 0:
        return
    if scale is None:
        scale = float(expected.detach().abs().max())
    error = float((actual.detach().double() - expected.detach().double()).abs().max())
    bound = TOLERANCE[actual.dtype] * max(scale, 1e-30)
    assert error <= bound, f"error {error:.3g} over {bound:.3g}"


def layouts(x: Tensor) -> Iterator[tuple[str, Tensor]]:
    """The values of x [N, C, H, W] in other places of memory; all but the last two are dense."""
    yield "contiguous", x.contiguous()
    yield "channels_last", x.contiguous(memory_format=torch.channels_last)
    yield "permuted", x.permute(3, 1, 0, 2).contiguous().permute(2, 1, 3, 0)
    yield "batch_in_channels", x.transpose(0, 1).contiguous().transpose(0, 1)
    wide = x.new_zeros(*x.shape[:-1], 2 * x.shape[-1] + 1)
    wide[..., 1::2] = x
    yield "strided", wide[..., 1::2]
    yield "offset", torch.cat([x.new_zeros(1), x.flatten()])[1:].view(x.shape)


def assert_layout_of_input(x: Tensor, *results: Tensor) -> None:
    """Strides as those of x where x is dense, contiguous elsewhere."""
    dense = torch.empty_like(x).stride() == x.stride()
    for result in results:
        assert result.dtype == x.dtype
        if dense:
            assert result.stride() == x.stride()
        else:
            assert result.is_contiguous()


def placed(value: Any) -> Any:
    """With its Tensors on the device under test, strides and all: for what is made on import."""
    device = torch.get_default_device()

    def moved(tensor: Tensor) -> Tensor:
        if tensor.device.type in (device.type, "meta"):
            return tensor
        if tensor.layout != torch.strided:
            return tensor.to(device)
        there = torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype)
        return there.copy_(tensor.detach()).requires_grad_(tensor.requires_grad)

    return tree_map_only(Tensor, moved, value)


def assert_registered(op: Any, arguments: tuple[Any, ...], **options: Any) -> None:
    """What torch itself checks of an op: schema, fake kernel, autograd, tracing."""
    try:
        torch.library.opcheck(op, placed(arguments), **options)
    except ModuleNotFoundError as error:
        if error.name != "expecttest":
            raise
        pytest.skip("opcheck of this torch imports expecttest, which is not installed")


def assert_compiles(function: Callable[..., Any], *calls: tuple[Any, ...]) -> None:
    """One dynamic graph without breaks serves all calls, with the strides of eager mode."""
    torch._dynamo.reset()
    compiled = torch.compile(function, fullgraph=True, dynamic=True, backend="aot_eager")
    for arguments in calls:
        for actual, expected in zip(
            _tensors(compiled(*arguments)), _tensors(function(*arguments)), strict=True
        ):
            assert actual.stride() == expected.stride()
            torch.testing.assert_close(actual, expected)


def assert_differentiable(function: Callable[..., Any], *inputs: Tensor) -> None:
    """Backward, forward and both second derivatives, against finite differences."""
    tracked = tuple(value.detach().requires_grad_() for value in inputs)
    assert torch.autograd.gradcheck(function, tracked, check_forward_ad=True, fast_mode=True)
    assert torch.autograd.gradgradcheck(
        function, tracked, check_fwd_over_rev=True, check_rev_over_rev=True, fast_mode=True
    )


def assert_maps_over(
    function: Callable[..., Any], *choices: tuple[Tensor, Sequence[int | None]]
) -> None:
    """vmap gives what a loop gives, for every combination of batch axes.

    Each choice is a tensor whose first axis is the batch, and the places that axis is tried at,
    None standing for the first element without a batch.
    """
    for places in product(*(places for _, places in choices)):
        if all(place is None for place in places):
            continue
        stacked = [tensor for tensor, _ in choices]
        arguments = [
            tensor[0] if place is None else tensor.movedim(0, place)
            for tensor, place in zip(stacked, places, strict=True)
        ]
        batched = _tensors(torch.vmap(function, in_dims=places)(*arguments))
        size = len(stacked[0])
        loop = [
            _tensors(
                function(
                    *(
                        tensor[0 if place is None else b]
                        for tensor, place in zip(stacked, places, strict=True)
                    )
                )
            )
            for b in range(size)
        ]
        for actual, expected in zip(batched, zip(*loop, strict=True), strict=True):
            assert_matches(actual, torch.stack(expected), scale=10)


def _tensors(result: Any) -> tuple[Tensor, ...]:
    return result if isinstance(result, tuple) else (result,)


def with_nonfinite(x: Tensor, plane: int, dims: int, value: float) -> Tensor:
    """x with one pixel of one plane replaced."""
    poisoned = x.clone()
    poisoned.view(-1, *x.shape[-dims:])[plane].view(-1)[-1] = value
    return poisoned


def assert_isolates(
    function: Callable[[Tensor], Any], shape: Sequence[int], dims: int = 2, slabs: bool = False
) -> None:
    """A NaN or Inf in one plane makes that plane of the result non-finite and no other.

    Args:
        function: of one tensor, to one or several of its shape (with `slabs`: a leading axis).
        shape: of that tensor; every plane is tried.
        dims: axes of a plane.
        slabs: whether results have an axis of their own in front.
    """
    x = torch.randn(*shape, dtype=torch.float32)
    clean = _tensors(function(x))
    planes = x.numel() // x.shape[-dims:].numel()
    for plane, value in product(range(planes), (float("nan"), float("inf"), float("-inf"))):
        for result, expected in zip(
            _tensors(function(with_nonfinite(x, plane, dims, value))), clean, strict=True
        ):
            rows = result.reshape(-1 if slabs else 1, planes, *x.shape[-dims:])
            wanted = expected.reshape(rows.shape)
            others = [p for p in range(planes) if p != plane]
            assert_matches(rows[:, others], wanted[:, others], scale=float(expected.abs().max()))
            assert not rows[:, plane].isfinite().all()


# --- pooling ------------------------------------------------------------------------------------

PADDING_MODES = ["reflect", "replicate", "zeros", "circular"]


def assert_pooled_layout(x: Tensor, *results: Tensor) -> None:
    """channels_last where x is and not contiguous as well, contiguous elsewhere."""
    last = x.dim() == 4 and x.is_contiguous(memory_format=torch.channels_last)
    for result in results:
        assert result.dtype == x.dtype
        if last and not x.is_contiguous():
            assert result.is_contiguous(memory_format=torch.channels_last)
        else:
            assert result.is_contiguous()


def assert_keeps_alive(function: Callable[[Tensor], Tensor], x: Tensor, *allowed: Tensor) -> None:
    """Of x's size or larger, a backward pass keeps these tensors and nothing else."""
    kept: list[Tensor] = []

    def keep(tensor: Tensor) -> Tensor:
        kept.append(tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        function(x)
    addresses = {tensor.data_ptr() for tensor in allowed}
    assert all(tensor.numel() < x.numel() or tensor.data_ptr() in addresses for tensor in kept)
