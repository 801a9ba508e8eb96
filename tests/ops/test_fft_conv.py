"""fft_conv1d/2d and FFTConv1d/2d: torch's own convolutions by another way."""

from concurrent.futures import ThreadPoolExecutor
from itertools import product
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
)
from torch import Tensor, nn
from torch.nn import functional

import freqops
from freqops import reference
from freqops.ops import _convolution_composition
from freqops.ops._convolution_rules import exact_grid, fast_size, linear_grid
from freqops.ops._kernel_spectra import KERNEL_SPECTRA, KernelSpectra, KernelSpectrum

pytestmark = pytest.mark.usefixtures("device")

# (channels, outputs, groups, size, kernel, stride, padding, dilation)
CASES: list[tuple[int, int, int, Any, Any, Any, Any, Any]] = [
    (3, 4, 1, (1, 1), (1, 1), 1, 0, 1),
    (3, 4, 1, (9, 8), (3, 5), 1, 1, 1),
    (4, 6, 2, (9, 8), (3, 5), 1, (0, 2), 1),
    (4, 4, 4, (37, 12), (31, 11), 1, "same", 1),
    (4, 4, 4, (7, 7), (13, 13), 1, 6, 1),
    (4, 4, 4, (14, 15), (4, 6), 1, "same", 1),
    (4, 8, 4, (17, 11), (3, 3), 2, 2, 3),
    (4, 4, 4, (17, 11), (5, 4), (3, 2), (4, 1), (1, 2)),
    (6, 4, 1, (13, 10), (3, 3), (2, 1), (0, 2), 1),
    (6, 9, 3, (13, 10), (2, 4), 2, "valid", 1),
    (2, 3, 1, (5, 10), (3, 3), 1, (9, 2), 1),  # outputs that meet nothing but padding
    (2, 2, 2, (1, 37), (1, 9), 1, (0, 4), 1),
    (1, 1, 1, (6, 5), (6, 5), 1, 0, 1),
    (1, 3, 1, (16, 33), (7, 3), 1, 1, 2),
]


def arguments(case: Any, dtype: torch.dtype = torch.float64) -> tuple[tuple[Tensor, ...], Any]:
    channels, outputs, groups, size, kernel, *numbers = case
    x = torch.randn(2, channels, *size, dtype=dtype)
    weight = torch.randn(outputs, channels // groups, *kernel, dtype=dtype)
    return (x, weight, torch.randn(outputs, dtype=dtype)), (*numbers, groups)


def by_fft(*tensors: Tensor, numbers: Any) -> Tensor:
    return freqops.fft_conv2d(*tensors, *numbers, algorithm="fft")


def magnitude(x: Tensor, weight: Tensor, numbers: Any) -> float:
    """What rounding errors of a sum of products scale with: the root of the sum of squares."""
    squares = x.double().square(), weight.double().square()
    return float(functional.conv2d(*squares, None, *numbers).max().sqrt())


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("algorithm", ["fft", "direct", None])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_matches_reference(case: Any, algorithm: str | None, dtype: torch.dtype) -> None:
    tensors, numbers = arguments(case, dtype)
    y = freqops.fft_conv2d(*tensors, *numbers, algorithm=algorithm)
    expected = reference.fft_conv2d(*(tensor.double() for tensor in tensors), *numbers)
    assert y.dtype == dtype
    scale = max(magnitude(*tensors[:2], numbers), float(expected.abs().max()))
    assert_matches(y, expected, scale=scale)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("groups", [1, 2, 4])
def test_nonfinite_values_stay_in_their_image_and_group(groups: int, value: float) -> None:
    x, weight = torch.randn(3, 4, 6, 5), torch.randn(8, 4 // groups, 3, 3)
    x[1, 0, 2, 2] = value
    y = freqops.fft_conv2d(x, weight, padding=1, groups=groups, algorithm="fft")
    lost = torch.zeros(3, 8, dtype=torch.bool)
    lost[1, : 8 // groups] = True
    assert torch.equal(~y.isfinite().flatten(2).all(-1), lost)


@given(st.data())
def test_is_torchs_convolution(data: st.DataObject) -> None:
    """In float32 to 1e-6, over whatever arguments there may be, in one and two dimensions."""
    dims = data.draw(st.integers(1, 2), "dims")
    pairs = st.tuples(*[st.integers(1, 4)] * dims)
    groups, share, own = (data.draw(st.integers(1, 3), name) for name in ("g", "in", "out"))
    kernel = data.draw(st.tuples(*[st.integers(1, 9)] * dims), "kernel")
    stride, dilation = data.draw(pairs, "stride"), data.draw(pairs, "dilation")
    padding = data.draw(st.tuples(*[st.integers(0, 9)] * dims), "padding")
    reach = [d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True)]
    least = [max(1, r - 2 * p) for r, p in zip(reach, padding, strict=True)]
    size = [data.draw(st.integers(one, one + 20), "size") for one in least]
    x = torch.randn(data.draw(st.integers(0, 3), "batch"), groups * share, *size)
    weight = torch.randn(groups * own, share, *kernel)
    numbers = (stride, padding, dilation, groups)
    ours = freqops.fft_conv1d if dims == 1 else freqops.fft_conv2d
    torchs: Any = functional.conv1d if dims == 1 else functional.conv2d
    y = ours(x, weight, None, *numbers, algorithm="fft")
    expected = torchs(x.double(), weight.double(), None, *numbers)
    assert y.shape == expected.shape
    if y.numel():
        squares = torchs(x.double().square(), weight.double().square(), None, *numbers)
        scale = max(float(squares.max().sqrt()), float(expected.abs().max()))
        scale = max(scale, float(x.abs().max() * weight.abs().max()))  # where nothing meets
        assert float((y.double() - expected).abs().max()) <= 1e-6 * scale


@pytest.mark.parametrize("groups", [1, 4])
def test_memory_formats(groups: int) -> None:
    weight = torch.randn(4, 4 // groups, 5, 3)
    expected = functional.conv2d(
        x := torch.randn(3, 4, 9, 10), weight, padding="same", groups=groups
    )
    for (name, moved), algorithm in product(layouts(x), ("fft", "direct")):
        y = freqops.fft_conv2d(moved, weight, padding="same", groups=groups, algorithm=algorithm)
        assert_pooled_layout(moved, y)
        torch.testing.assert_close(y, expected, msg=f"{name}, {algorithm}")


def test_any_leading_dimensions() -> None:
    weight, bias = torch.randn(6, 2, 3, 3), torch.randn(6)
    x = torch.randn(2, 3, 4, 8, 9)
    for algorithm in ("fft", "direct"):

        def convolved(x: Tensor, algorithm: str = algorithm) -> Tensor:
            return freqops.fft_conv2d(x, weight, bias, padding=1, groups=2, algorithm=algorithm)

        y = convolved(x)
        assert y.shape == (2, 3, 6, 8, 9)
        torch.testing.assert_close(y[1, 2], convolved(x[1, 2]))
        assert convolved(x[:, :0]).shape == (2, 0, 6, 8, 9)


@pytest.mark.parametrize("groups", [1, 4], ids=["dense", "depthwise"])
def test_empty_batch_has_gradients_of_zero(groups: int) -> None:
    x = torch.randn(0, 4, 6, 5, requires_grad=True)
    weight = torch.randn(4, 4 // groups, 3, 3, requires_grad=True)
    y = freqops.fft_conv2d(x, weight, padding=1, groups=groups, algorithm="fft")
    y.sum().backward()
    assert x.grad is not None
    assert x.grad.shape == x.shape
    assert weight.grad is not None
    assert not weight.grad.any()


@pytest.mark.parametrize("case", [CASES[i] for i in (1, 2, 5, 6, 7, 9, 10)], ids=str)
def test_gradients_are_torchs(case: Any) -> None:
    tensors, numbers = arguments(case)
    tracked = [tensor.requires_grad_() for tensor in tensors]
    y, expected = by_fft(*tracked, numbers=numbers), functional.conv2d(*tracked, *numbers)
    gradient = torch.randn_like(y)
    for own, torchs in zip(
        torch.autograd.grad(y, tracked, gradient),
        torch.autograd.grad(expected, tracked, gradient),
        strict=True,
    ):
        assert_matches(own, torchs, scale=50)


@pytest.mark.parametrize(
    "case",
    [
        (4, 2, 2, (5, 6), (2, 3), (1, 2), (1, 2), 2),
        (2, 2, 2, (5, 4), (3, 3), (2, 1), 1, 1),
        (2, 4, 2, (4, 4), (2, 2), 1, "same", 1),
        (2, 3, 1, (1, 5), (1, 3), 1, (0, 1), 1),
    ],
    ids=str,
)
def test_gradients(case: Any) -> None:
    tensors, numbers = arguments(case)
    assert_differentiable(lambda *ts: by_fft(*ts, numbers=numbers), *tensors)


@pytest.mark.parametrize("groups", [1, 2])
def test_gradients_of_lines(groups: int) -> None:
    x, weight = (
        torch.randn(*shape, dtype=torch.float64) for shape in ((2, 2, 7), (4, 2 // groups, 3))
    )
    assert_differentiable(
        lambda x, w: freqops.fft_conv1d(x, w, None, 2, 2, 1, groups, algorithm="fft"), x, weight
    )


@pytest.mark.parametrize("dims", [1, 2])
@pytest.mark.parametrize("groups", [1, 2])
def test_images_in_portions(groups: int, dims: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """What large batches are cut into gives what they give at once, gradients included."""
    x = torch.randn(5, 4, *[6, 7][:dims], dtype=torch.float64, requires_grad=True)
    weight = torch.randn(6, 4 // groups, *[3, 2][:dims], dtype=torch.float64, requires_grad=True)
    ours: Any = freqops.fft_conv1d if dims == 1 else freqops.fft_conv2d

    def results() -> list[Tensor]:
        y = ours(x, weight, padding=1, groups=groups, algorithm="fft")
        return [y.detach(), *torch.autograd.grad(y.square().sum(), (x, weight))]

    whole = results()
    asked: list[int] = []
    portions = _convolution_composition._images

    def small(*arguments: Any) -> list[slice]:
        parts = portions(*arguments)
        asked.append(len(parts))
        return parts

    monkeypatch.setattr(_convolution_composition, "_MIXED_PORTION", 1)
    monkeypatch.setattr(_convolution_composition, "_FEWEST_IMAGES", 2)
    monkeypatch.setattr(_convolution_composition, "_images", small)
    KERNEL_SPECTRA.clear()
    for own, expected in zip(results(), whole, strict=True):
        assert_matches(own, expected, scale=10 * float(expected.abs().max()))
    assert asked == [3, 3, 3]  # of 5 images, for y and both gradients


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("size", [(9, 8), (7, 13), (21,)], ids=str)
def test_one_image_correlates_as_several_do(
    size: tuple[int, ...], stride: int, dtype: torch.dtype
) -> None:
    """It takes another way on the CPU; an image of zeros beside it changes no sum."""
    dims = len(size)
    made = [(side + 2 - 3) // stride + 1 for side in size]
    x = torch.randn(1, 3, *size, dtype=dtype)
    y = torch.randn(1, 3, *made, dtype=dtype)
    numbers = ([3] * dims, [stride] * dims, [1] * dims, [1] * dims, 3, [], [], 0.0)
    correlate = torch.ops.freqops.fft_conv_correlation
    more = (torch.cat([one, torch.zeros_like(one)]) for one in (x, y))
    assert_matches(correlate(x, y, *numbers), correlate(*more, *numbers).double())


def test_third_derivative() -> None:
    """Of the sum of y^2: made of all three ops."""
    x = torch.randn(1, 2, 5, 5, dtype=torch.float64)
    weight = torch.randn(2, 1, 3, 3, dtype=torch.float64)

    def by(convolution: Any) -> Tensor:
        def energy(w: Tensor) -> Tensor:
            return convolution(x, w, None, 1, 1, 1, 2).square().sum() ** 2

        hessian = torch.func.hessian(energy)
        return torch.func.jacrev(lambda w: hessian(w).square().sum())(weight)

    own = by(lambda *args: freqops.fft_conv2d(*args, algorithm="fft"))
    expected = by(functional.conv2d)
    assert_matches(own, expected, scale=10 * float(expected.abs().max()))


@pytest.mark.parametrize("groups", [1, 2])
def test_vmap(groups: int) -> None:
    x = torch.randn(3, 2, 4, 6, 5, dtype=torch.float64)
    weight = torch.randn(3, 2, 4 // groups, 2, 3, dtype=torch.float64)
    assert_maps_over(
        lambda x, w: freqops.fft_conv2d(x, w, None, 1, 1, 1, groups, algorithm="fft"),
        (x, (0, 1, None)),
        (weight, (0, 2, None)),
    )


def test_per_sample_gradients() -> None:
    """vmap over the gradient: every op meets a batch axis on either factor."""
    weight = torch.randn(4, 1, 3, 3, dtype=torch.float64)

    def loss(weight: Tensor, x: Tensor) -> Tensor:
        return by_fft(x[None], weight, numbers=(None, 1, 1, 1, 4)).square().sum()

    x = torch.randn(3, 4, 6, 5, dtype=torch.float64)
    own = torch.vmap(torch.func.grad(loss), (None, 0))(weight, x)
    expected = torch.stack([torch.func.grad(loss)(weight, one) for one in x])
    assert_matches(own, expected)


NUMBERS = ([1, 2], [1, 2], [2, 2], 2, [], [], 0.0)


@pytest.mark.parametrize("recorded", [False, True])
@pytest.mark.parametrize("name", ["fft_conv", "fft_conv_adjoint", "fft_conv_correlation"])
def test_registration(name: str, recorded: bool) -> None:
    x = torch.randn(2, 4, 5, 6, requires_grad=recorded)
    weight = torch.randn(2, 2, 2, 3, requires_grad=recorded)
    y = torch.randn(2, 2, 5, 3, requires_grad=recorded)
    pairs = {
        "fft_conv": (x, weight, [5, 3]),
        "fft_conv_adjoint": (y, weight, [5, 6]),
        "fft_conv_correlation": (x, y, [2, 3]),
    }
    assert_registered(getattr(torch.ops.freqops, name).default, (*pairs[name], *NUMBERS))


@pytest.mark.parametrize("algorithm", [None, "fft"])
def test_compiles(algorithm: str | None) -> None:
    layer = freqops.FFTConv2d(4, 4, 15, padding=7, groups=4, algorithm=algorithm)
    other = torch.randn(3, 4, 18, 18).contiguous(memory_format=torch.channels_last)
    assert_compiles(layer, (torch.randn(2, 4, 19, 18),), (torch.randn(1, 4, 12, 17),), (other,))
    lines = freqops.FFTConv1d(4, 6, 5, 2, 2, algorithm=algorithm)
    assert_compiles(lines, (torch.randn(2, 4, 19),), (torch.randn(1, 4, 30),))


def test_exports_with_dynamic_sizes() -> None:
    layer = freqops.FFTConv2d(4, 4, 15, padding=7, groups=4)
    sizes = {0: torch.export.Dim("n"), 2: torch.export.Dim("h"), 3: torch.export.Dim("w")}
    exported = torch.export.export(layer, (torch.randn(2, 4, 19, 18),), dynamic_shapes=[sizes])
    x = torch.randn(3, 4, 25, 40)
    torch.testing.assert_close(exported.module()(x), layer(x))


def test_mixed_dtypes_and_autocast() -> None:
    """Weights stay in float32, and autocast does not round what meets them."""
    for algorithm in ("fft", "direct"):
        layer = freqops.FFTConv2d(4, 4, 5, padding=2, groups=4, algorithm=algorithm)
        x = torch.randn(2, 4, 9, 8)
        with torch.autocast(x.device.type, dtype=torch.bfloat16):
            torch.testing.assert_close(layer(x), layer(x.double()).float())
            y = layer(x.bfloat16())
        assert y.dtype == torch.bfloat16
        exact = layer(x.bfloat16().double()).detach()
        assert_matches(y, exact, scale=float(exact.abs().max()))
        y.sum().backward()
        assert layer.weight.grad is not None
        assert layer.weight.grad.dtype == torch.float32


# --- grids --------------------------------------------------------------------------------------


def test_fast_sizes() -> None:
    for least in range(1, 3000):
        size = fast_size(least)
        rest = size
        for prime in (2, 3, 5, 7):
            while rest % prime == 0:
                rest //= prime
        assert size >= least
        assert rest == 1
        assert size % 2 == 0 or size == 1


def test_grids_of_published_sizes() -> None:
    """'Same' needs N + k // 2, not N + k - 1."""
    wanted = {(56, 31): 72, (56, 7): 60, (28, 29): 42, (14, 27): 28, (7, 13): 14}
    for (size, kernel), grid in wanted.items():
        assert fast_size(exact_grid(size, kernel, size, 1, kernel // 2, 1)) == grid


@given(
    st.integers(1, 9), st.integers(1, 6), st.integers(1, 3), st.integers(0, 7), st.integers(1, 3)
)
def test_exact_grid_is_the_shortest(
    size: int, kernel: int, stride: int, padding: int, dilation: int
) -> None:
    """One sample less and a tap of some output meets the wrong sample, or two lie on one place."""
    reach = dilation * (kernel - 1) + 1
    if size + 2 * padding < reach:
        return
    output = (size + 2 * padding - reach) // stride + 1
    grid = exact_grid(size, kernel, output, stride, padding, dilation)
    assert linear_grid(size, kernel, output, stride, padding, dilation) >= grid

    def is_right(grid: int) -> bool:
        if max(size, reach, stride * (output - 1) + 1) > grid:
            return False
        for t, k in product(range(stride * (output - 1) + 1), range(reach)):
            place = t + k - padding
            met, wrapped = 0 <= place < size, place % grid < size
            if met != wrapped or (met and place != place % grid):
                return False
        return True

    assert is_right(grid)
    assert not is_right(grid - 1)


# --- which way ----------------------------------------------------------------------------------


def test_explain() -> None:
    x, large, small = torch.rand(2, 8, 56, 56), torch.rand(8, 1, 31, 31), torch.rand(8, 1, 3, 3)
    found = freqops.explain("fft_conv2d", x, large, padding="same", groups=8)
    assert found.kernel != "torch convolution"
    assert "72 x 72" in str(found)
    found = freqops.explain("fft_conv2d", x, small, padding="same", groups=8)
    assert found.kernel == "torch convolution"
    found = freqops.explain("fft_conv2d", x, small, padding="same", groups=8, algorithm="fft")
    assert found.kernel != "torch convolution"


# --- spectra of weights -------------------------------------------------------------------------


@pytest.mark.parametrize("groups", [1, 4])
def test_a_changed_weight_is_seen(groups: int) -> None:
    """In place, through .data, by load_state_dict, in inference mode, or another at its address."""
    layer = freqops.FFTConv2d(4, 4, 5, padding=2, groups=groups, bias=False, algorithm="fft")
    x = torch.randn(1, 4, 8, 8)

    def check() -> None:
        expected = functional.conv2d(x, layer.weight, padding=2, groups=groups)
        torch.testing.assert_close(layer(x), expected)

    with torch.no_grad():
        check()
        layer.weight.mul_(2)
        check()
        layer.weight.data.add_(1)
        check()
        layer.load_state_dict({"weight": torch.randn_like(layer.weight)})
        check()
        for _ in range(3):
            weight = torch.randn(4, 4 // groups, 5, 5)
            y = freqops.fft_conv2d(x, weight, padding=2, groups=groups, algorithm="fft")
            torch.testing.assert_close(y, functional.conv2d(x, weight, padding=2, groups=groups))
            del weight
    with torch.inference_mode():
        layer.weight.data.neg_()
        check()
    check()


def test_kernel_spectra_are_kept_and_bounded() -> None:
    made: list[int] = []
    cache = KernelSpectra(entries=2, nbytes=1 << 12)
    weights = [torch.full((8,), float(i), device="cpu") for i in range(3)]

    def get(i: int, size: int = 8) -> KernelSpectrum:
        def build() -> Tensor:
            made.append(i)
            return torch.full((size,), float(i))

        return cache.get(weights[i], size, build)

    first = get(0)
    assert get(0) is first
    assert torch.equal(first.values, weights[0])
    assert made == [0]
    weights[0] += 1
    keys = {first.key, get(0).key, get(1).key}
    assert len(keys) == 3
    assert made == [0, 0, 1]
    assert len(cache) == 2
    get(2)
    assert len(cache) == 2
    get(0)
    assert made == [0, 0, 1, 2, 0]
    get(0, 1 << 12)  # larger than all it may hold
    assert cache.nbytes <= 1 << 12
    cache.clear()
    assert len(cache) == 0


def test_a_weight_that_changes_while_its_spectrum_is_built_is_not_taken_for_the_new_one() -> None:
    cache = KernelSpectra(entries=2, nbytes=1 << 12)
    weight = torch.zeros(8, device="cpu")

    def build() -> Tensor:
        made = weight.clone()
        weight.fill_(1)  # as another thread's optimizer would
        return made

    assert not cache.get(weight, "", build).values.any()
    assert bool((cache.get(weight, "", weight.clone).values == 1).all())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("groups", [1, 4])
def test_evaluation_transforms_a_weight_once(
    groups: int, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    layer = freqops.FFTConv2d(4, 4, 5, padding=2, groups=groups, algorithm="fft", dtype=dtype)
    x = torch.randn(1, 4, 8, 8, dtype=dtype)
    if x.device.type != "cpu":
        pytest.skip("spectra are kept on the CPU only")
    starts: list[Any] = []
    axes: Any = _convolution_composition._Axes
    transformed = axes.with_all_rows

    def counted(self: Any, t: Tensor, *places: Any) -> Tensor:
        starts.append(places[0])
        result: Tensor = transformed(self, t, *places)
        return result

    monkeypatch.setattr(axes, "with_all_rows", counted)
    KERNEL_SPECTRA.clear()
    with torch.no_grad():
        y = layer(x)
        elsewhere = torch.zeros(100, dtype=dtype)  # what the allocator would give a copy next
        torch.testing.assert_close(layer(x), y, rtol=0, atol=0)
    assert starts.count((-2, -2)) == len(KERNEL_SPECTRA) == 1
    del elsewhere


def test_spectra_from_several_threads() -> None:
    """Each layer's result is its own, whichever thread asks and whatever is pushed out."""
    layers = [
        freqops.FFTConv2d(4, 4, 5, padding=2, groups=4, bias=False, algorithm="fft")
        for _ in range(6)
    ]
    device = torch.get_default_device()
    x = torch.randn(1, 4, 8, 8)
    expected = [nn.functional.conv2d(x, one.weight, padding=2, groups=4) for one in layers]

    def ask(first: int) -> float:
        worst = 0.0
        with torch.no_grad(), torch.device(device):
            for i in range(30):
                which = (first + i) % len(layers)
                error = (layers[which](x) - expected[which]).abs().max()
                worst = max(worst, float(error))
        return worst

    with ThreadPoolExecutor(4) as pool:
        assert max(pool.map(ask, range(8))) < 1e-5


# --- modules ------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["zeros", "reflect", "replicate", "circular"])
@pytest.mark.parametrize("dims", [1, 2])
def test_module_is_torchs(dims: int, mode: Any) -> None:
    own: Any = freqops.FFTConv1d if dims == 1 else freqops.FFTConv2d
    torchs: Any = nn.Conv1d if dims == 1 else nn.Conv2d
    for arguments in (
        {"kernel_size": 5, "padding": 2, "groups": 2},
        {"kernel_size": 3, "stride": 2, "padding": 2, "dilation": 2, "bias": False},
        {"kernel_size": 4, "padding": "same", "groups": 4},
    ):
        torch.manual_seed(0)
        ours = own(4, 8, padding_mode=mode, algorithm="fft", **arguments)
        torch.manual_seed(0)
        theirs = torchs(4, 8, padding_mode=mode, **arguments)
        assert isinstance(ours, torchs)
        assert repr(theirs)[len("Conv1d") : -1] in repr(ours)
        for (name, one), (key, other) in zip(
            ours.state_dict().items(), theirs.state_dict().items(), strict=True
        ):
            assert name == key
            assert torch.equal(one, other)
        x = torch.randn(2, 4, *[11, 9][:dims])
        torch.testing.assert_close(ours(x), theirs(x))
        assert ours(x[:, None]).shape == (2, 1, *theirs(x).shape[1:])


def test_module_words() -> None:
    layer = freqops.FFTConv2d(4, 4, 5, groups=4, algorithm="direct")
    assert repr(layer).endswith("groups=4, algorithm='direct')")
    assert "algorithm" not in repr(freqops.FFTConv1d(4, 4, 5))


X, W = torch.randn(2, 4, 6, 5), torch.randn(6, 2, 3, 3)


@pytest.mark.parametrize(
    ("arguments", "error", "sentence"),
    [
        (([1], W), TypeError, "fft_conv2d: x must be a Tensor, got list"),
        ((X, [1]), TypeError, "fft_conv2d: weight must be a Tensor, got list"),
        ((X.int(), W), TypeError, "fft_conv2d: x must be float32, float64, float16 or bfloat16"),
        ((X, W + 0j), TypeError, "fft_conv2d: weight must be float32, float64, float16 or"),
        ((X[0, 0], W), ValueError, "fft_conv2d: x must have at least 3 dimensions, got 2"),
        ((X, W[0]), ValueError, "fft_conv2d: weight must have at least 4 dimensions, got 3"),
        (
            (X, W[None]),
            ValueError,
            "fft_conv2d: weight must have shape [Cout, Cin / groups, k_h, k_w], got [1, 6,",
        ),
        (
            (X, W),
            ValueError,
            "fft_conv2d: x must have shape [..., 2, H, W] for weight [6, 2, 3, 3] in 1 group, "
            "got [2, 4, 6, 5]",
        ),
        (
            (X, W, None, 1, 0, 1, 4),
            ValueError,
            "fft_conv2d: groups must divide the 6 output channels of weight, got 4",
        ),
        (
            (X, W, torch.zeros(5), 1, 0, 1, 2),
            ValueError,
            "fft_conv2d: bias must have shape [6], got [5]",
        ),
        ((X, W, 1.0, 1, 0, 1, 2), TypeError, "fft_conv2d: bias must be a floating-point Tensor or"),
        ((X, W, None, 0, 0, 1, 2), ValueError, "fft_conv2d: stride must be at least 1, got 0"),
        ((X, W, None, 1.5, 0, 1, 2), TypeError, "fft_conv2d: stride must be an integer, got float"),
        ((X, W, None, (1,), 0, 1, 2), ValueError, "fft_conv2d: stride must be one integer or 2"),
        ((X, W, None, 1, -1, 1, 2), ValueError, "fft_conv2d: padding must be at least 0, got -1"),
        ((X, W, None, 1, "full", 1, 2), ValueError, "fft_conv2d: padding must be a number, one"),
        (
            (X, W, None, 2, "same", 1, 2),
            ValueError,
            "fft_conv2d: stride must be 1 for padding 'same', got 2",
        ),
        ((X, W, None, 1, 0, 0, 2), ValueError, "fft_conv2d: dilation must be at least 1, got 0"),
        ((X, W, None, 1, 0, 1, 0), ValueError, "fft_conv2d: groups must be at least 1, got 0"),
        ((X, W, None, 1, 0, 1, 2.0), TypeError, "fft_conv2d: groups must be an integer, got float"),
        (
            (X, W, None, 1, 0, 3, 2),
            ValueError,
            "fft_conv2d: padding must leave at least 7 samples of x for a kernel of 3 taps with "
            "dilation 3, got 6 with padding (0, 0)",
        ),
        (
            (X, W, None, 1, 2**40, 1, 2),
            ValueError,
            "fft_conv2d: padding must give at most 2**26 samples along each axis, got 6",
        ),
        (
            (X, W, None, 2**40, 1, 1, 2),
            ValueError,
            "fft_conv2d: stride must be at most 2**26, got 1099511627776",
        ),
        (
            (X, W[..., :1, :1], None, 1, 0, 2**70, 2),
            ValueError,
            "fft_conv2d: dilation must be at most 2**26, got 1180591620717411303424",
        ),
        (
            (X, W, torch.zeros(6).to_sparse(), 1, 0, 1, 2),
            TypeError,
            "fft_conv2d: bias must be a strided tensor, got layout torch.sparse_coo",
        ),
        (
            (X, W, torch.zeros(6, dtype=torch.float8_e4m3fn), 1, 0, 1, 2),
            TypeError,
            "fft_conv2d: bias must be float32, float64, float16 or bfloat16, got",
        ),
    ],
)
def test_rejects(arguments: Any, error: type[Exception], sentence: str) -> None:
    device = torch.get_default_device()
    moved = [one.to(device) if isinstance(one, Tensor) else one for one in arguments]
    with pytest.raises(error) as caught:
        freqops.fft_conv2d(*moved)
    assert str(caught.value).startswith(sentence)


def test_rejects_transforms_beyond_the_kernels() -> None:
    x, weight = torch.randn(1, 2, 6, 5), torch.randn(2, 1, 3, 3)
    numbers = (5000, 9000, 1, 2)
    words = r"fft_conv2d: x with its padding must fit a grid of at most 2\*\*26 samples, got 1"
    with pytest.raises(ValueError, match=words):
        freqops.fft_conv2d(x, weight, None, *numbers, algorithm="fft")
    y = freqops.fft_conv2d(x, weight, None, *numbers)  # torch's own takes it
    assert torch.equal(y, functional.conv2d(x, weight, None, *numbers))
    lattice = [4, 4], *([number] * 2 for number in numbers[:3])
    with pytest.raises(RuntimeError, match="grid must have at most"):
        torch.ops.freqops.fft_conv(x, weight, *lattice, 2, [], [], 0.0)


def test_rejects_an_unknown_algorithm() -> None:
    x, weight = torch.randn(1, 4, 6, 5), torch.randn(4, 4, 3, 3)
    words = r"algorithm must be one of None, 'direct', 'fft', got 'winograd'"
    with pytest.raises(ValueError, match=words):
        freqops.fft_conv2d(x, weight, algorithm="winograd")
    with pytest.raises(ValueError, match=f"FFTConv1d: {words}"):
        freqops.FFTConv1d(4, 4, 3, algorithm="winograd")
