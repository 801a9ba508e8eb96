"""The CUDA kernels of separable maps, replayed on the host, against float64; which of them runs."""

import random
from typing import Any, NamedTuple

import pytest
import torch
from kernels.cuda_replay import device, last_launch, ops
from kernels.test_cuda_blur_pool import DTYPES, TOLERANCE, between_nan, draw, laid_out, same_bits
from torch import Tensor

SMALL_DEVICE = 99 * 1024  # what compute capability 8.6 grants a block
HUGE = 2**62
SIZES = (1, 2, 3, 4, 5, 7, 8, 9, 13, 14, 16, 17, 27, 28, 29, 31, 56, 57)


class Map(NamedTuple):
    """A separable map in float64; matrices of axes that are left as they are: None."""

    rows: Tensor | None
    columns: Tensor | None
    outer: tuple[Tensor, Tensor, Tensor, Tensor] | None = None  # p, q of the height, of the width
    mirrored: bool = False


def draw_matrix(outputs: int, inputs: int, *, mirrored: bool, seed: int = 1) -> Tensor:
    matrix = draw(outputs, inputs, seed=seed) / inputs**0.5
    if mirrored:  # A[-m, -n] = A[m, n]
        matrix = (matrix + matrix.flip(0, 1).roll((1, 1), (0, 1))) / 2
    return matrix


def draw_map(
    height: int, width: int, out_height: int, out_width: int, *, mirrored: bool, outer: bool
) -> Map:
    vectors = [draw(n, seed=9 + n) / n**0.5 for n in (out_height, height, out_width, width)]
    return Map(
        draw_matrix(out_height, height, mirrored=mirrored, seed=1),
        draw_matrix(out_width, width, mirrored=mirrored, seed=2),
        (vectors[0], vectors[1], vectors[2], vectors[3]) if outer else None,
        mirrored,
    )


def halving(size: int, seed: int = 1) -> Tensor:
    """Of the kind of an ideal low pass: x[n], n even, goes to y[n / 2] alone."""
    matrix = draw_matrix(size // 2, size, mirrored=True, seed=seed)
    outputs, inputs = torch.arange(size // 2)[:, None], torch.arange(size)
    return matrix.where((inputs % 2 == 1) | (inputs == 2 * outputs), 0)


def expected(x: Tensor, given: Map) -> Tensor:
    y = x.double()
    if given.columns is not None:
        y = y @ given.columns.to(y).mT
    if given.rows is not None:
        y = given.rows.to(y) @ y
    if given.outer is not None:
        p_h, q_h, p_w, q_w = (vector.to(y) for vector in given.outer)
        sums = torch.einsum("h,w,...hw->...", q_h, q_w, x.double())
        y = y + torch.einsum("h,w,...->...hw", p_h, p_w, sums)
    return y


def rounded(given: Map, x: Tensor) -> Map:
    """To what the kernels compute in."""

    def to(values: Tensor) -> Tensor:
        return values if x.dtype == torch.float64 else values.float().double()

    rows, columns = (None if one is None else to(one) for one in given[:2])
    outer = None if given.outer is None else tuple(map(to, given.outer))
    return given._replace(rows=rows, columns=columns, outer=outer)


def applied(x: Tensor, given: Map) -> Tensor:
    """On the device of x: replayed on the CPU. What must not be read of the matrices is NaN."""
    kernels = ops() if x.device.type == "cpu" else torch.ops.freqops
    compute = torch.float64 if x.dtype == torch.float64 else torch.float32

    def passed(matrix: Tensor | None) -> Tensor | None:
        if matrix is None:
            return None
        copy = between_nan(matrix.to(x.device), compute)
        if given.mirrored:
            copy[matrix.shape[0] // 2 + 1 :] = torch.nan
        return copy

    outer = None
    if given.outer is not None:
        outer = between_nan(torch.cat(given.outer).to(x.device), compute)
    y = kernels.separable(x, passed(given.rows), passed(given.columns), outer, given.mirrored)
    assert isinstance(y, Tensor)
    return y


def check(x: Tensor, given: Map) -> Tensor:
    """Against float64; the error is measured by what was summed up, as sums may cancel."""
    given = rounded(given, x)
    y, reference = applied(x, given), expected(x, given)
    absolute = given._replace(
        rows=None if given.rows is None else given.rows.abs(),
        columns=None if given.columns is None else given.columns.abs(),
        outer=None,
    )
    scale = torch.maximum(expected(x.abs(), absolute).norm(), reference.norm())
    assert y.shape == reference.shape
    assert y.dtype == x.dtype
    error = float((y.double() - reference).norm() / scale.clamp(min=1e-30))
    assert error < TOLERANCE[x.dtype], (error, x.shape, y.shape, x.dtype)
    return y


def check_in_any_order(x: Tensor, given: Map) -> None:
    y = check(x, given)
    with device(backwards=True):
        assert same_bits(applied(x, rounded(given, x)), y)


def path(x: Tensor, given: Map) -> str:
    """Of a call on images like x."""
    outputs = [0 if one is None else one.shape[0] for one in given[:2]]
    like = torch.empty(0, dtype=x.dtype, device=x.device)
    kernels = ops() if x.device.type == "cpu" else torch.ops.freqops
    last, outer = not x.is_contiguous(), given.outer is not None
    return str(kernels.separable_path(like, x.shape, outputs, last, outer, given.mirrored))


def draw_problem(choose: random.Random) -> tuple[Tensor, Map]:
    """Of any sizes; one axis alone now and then."""
    height, width, out_height, out_width = (choose.choice(SIZES) for _ in range(4))
    mirrored, outer = choose.random() < 0.6, choose.random() < 0.4
    given = draw_map(height, width, out_height, out_width, mirrored=mirrored, outer=outer)
    kind = choose.random()
    if kind < 0.15:
        given = given._replace(rows=None, outer=None)
    elif kind < 0.3:
        given = given._replace(columns=None, outer=None)
    images, channels = choose.choice([(1, 1), (2, 3), (3, 5), (1, 40), (2, 17)])
    x = draw(images, channels, height, width, seed=choose.randrange(1000))
    last = channels > 1 and height * width > 1 and choose.random() < 0.4
    x = laid_out(x.to(choose.choice(DTYPES)), channels_last=last, shift=choose.randrange(2))
    return x, given


@pytest.mark.parametrize("seed", range(12))
def test_drawn_maps_match_float64_in_any_order(seed: int) -> None:
    choose = random.Random(seed)
    for _ in range(8):
        check_in_any_order(*draw_problem(choose))


@pytest.mark.parametrize(("size", "outputs"), [(14, 7), (28, 14), (56, 28), (28, 28), (7, 14)])
@pytest.mark.parametrize("outer", [False, True], ids=["plain", "outer"])
def test_usual_pools(size: int, outputs: int, *, outer: bool) -> None:
    """More planes than a block takes at a time, and fewer in its last round."""
    given = draw_map(size, size, outputs, outputs, mirrored=True, outer=outer)
    for dtype in DTYPES:
        for last in (False, True):
            x = draw(2, 21 if size < 56 else 5, size, size).to(dtype)
            check(laid_out(x, channels_last=last), given)


@pytest.mark.parametrize("mirrored", [False, True], ids=["any", "mirrored"])
@pytest.mark.parametrize("outer", [False, True], ids=["plain", "outer"])
@pytest.mark.parametrize("last", [False, True], ids=["nchw", "nhwc"])
def test_planes_beyond_shared_memory(*, mirrored: bool, outer: bool, last: bool) -> None:
    """Lines in several blocks, samples in several turns, pairs in several groups of tiles."""
    for sizes in ((131, 150, 77, 90), (150, 131, 140, 20), (130, 97, 9, 200)):
        given = draw_map(*sizes, mirrored=mirrored, outer=outer)
        for dtype in (torch.float32, torch.float64, torch.bfloat16):
            x = laid_out(draw(1, 2, *sizes[:2]).to(dtype), channels_last=last)
            with device(shared_bytes=SMALL_DEVICE):
                assert path(x, given) == "lines"
                y = check(x, given)
            with device(shared_bytes=SMALL_DEVICE, backwards=True):
                assert same_bits(applied(x, rounded(given, x)), y)


@pytest.mark.parametrize("mirrored", [False, True], ids=["any", "mirrored"])
def test_one_axis(*, mirrored: bool) -> None:
    """Signals and rows alone; samples in several turns."""
    for size, outputs in ((1, 1), (1, 5), (300, 150), (301, 7), (64, 65), (5, 300)):
        matrix = draw_matrix(outputs, size, mirrored=mirrored)
        for dtype in DTYPES:
            for shape in ((size,), (3, size), (2, 0, size), (2, 3, 5, size)):
                x = draw(*shape).to(dtype)
                check_in_any_order(x, Map(None, matrix, None, mirrored))
            for last in (False, True):
                x = laid_out(draw(2, 3, size, 7).to(dtype), channels_last=last)
                check_in_any_order(x, Map(matrix, None, None, mirrored))
                check_in_any_order(x.mT.contiguous(), Map(None, matrix, None, mirrored))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_halving_of_both_axes_or_one(dtype: torch.dtype) -> None:
    """Sizes that are multiples of 4, of 2; the functional reads odd samples only, or all."""
    for height, width in ((56, 44), (42, 42), (14, 60), (50, 6), (8, 112)):
        rows, columns = halving(height), halving(width, seed=2)
        other = draw_map(height, width, height // 2, width // 2, mirrored=True, outer=True)
        assert other.outer is not None
        p_h, q_h, p_w, q_w = other.outer
        kept = (p_h, q_h * (torch.arange(height) % 2), p_w, q_w * (torch.arange(width) % 2))
        for given in (
            Map(rows, columns, None, mirrored=True),
            Map(rows, columns, kept, mirrored=True),
            other._replace(rows=rows, columns=columns),
            other._replace(rows=rows),
            other._replace(columns=columns, outer=None),
            Map(rows, draw_matrix(5, width, mirrored=True), None, mirrored=True),
        ):
            x = draw(2, 5, height, width).to(dtype)
            for last in (False, True):
                check_in_any_order(laid_out(x, channels_last=last), given)


def test_products_with_zeros_are_left_out() -> None:
    """Infinity at an even place would else be NaN everywhere."""
    given = Map(halving(42), halving(56), None, mirrored=True)
    x = draw(1, 1, 42, 56).float()
    x[0, 0, 4, 6] = torch.inf
    y = applied(x, given)[0, 0]
    reached = [(2, 3), (2, 25), (19, 3), (19, 25)]  # y[m] and y[-m]
    assert [tuple(place) for place in (~y.isfinite()).nonzero().tolist()] == reached


def test_promised_blocks_are_resident() -> None:
    """Of 228 KB on compute capability 9.0, where each block costs 1 KB more."""
    for dtype in (torch.float32, torch.bfloat16):
        for size, blocks in ((7, 4), (14, 4), (28, 4), (56, 4), (64, 4), (112, 2)):
            given = Map(halving(size), halving(size), None, mirrored=True)
            if size % 2:
                given = draw_map(size, size, 3, 3, mirrored=True, outer=False)
            applied(draw(1, 64 if size < 64 else 1, size, size).to(dtype), given)
            assert blocks * (last_launch()[1] + 1024) <= 228 * 1024


HALVES = (torch.float16, torch.bfloat16)


@pytest.mark.parametrize("dtype", HALVES, ids=str)
@pytest.mark.parametrize("seed", range(4))
def test_matrix_instructions_match_float64_in_any_order(seed: int, dtype: torch.dtype) -> None:
    """Rows that are whole vectors of 8, 4 and 2 elements or none, fragments that are not full."""
    choose = random.Random(seed)
    sizes = ((32, 40), (20, 28), (30, 22), (27, 33), (56, 56), (45, 96))
    for number, (height, width) in enumerate(sizes):
        out_height, out_width = choose.choice([(7, 16), (1, 1), (28, 20), (70, 17), (33, 65)])
        mirrored, outer = choose.random() < 0.5, choose.random() < 0.5
        given = draw_map(height, width, out_height, out_width, mirrored=mirrored, outer=outer)
        x = draw(2, 3, height, width, seed=number).to(dtype)
        for last in (False, True):
            image = laid_out(x, channels_last=last, shift=choose.randrange(2))
            assert path(image, given) == "tensor_cores"
            check_in_any_order(image, given)


@pytest.mark.parametrize("dtype", HALVES, ids=str)
def test_matrix_instructions_are_as_good_as_rounding_once(dtype: torch.dtype) -> None:
    """Small and large elements too: what is between the axes may be beyond float16."""
    for size, outputs in ((28, 14), (56, 28), (112, 56)):
        for scale in (1e-3, 1.0, 3e3):
            given = draw_map(size, size, outputs, outputs, mirrored=True, outer=False)
            given = given._replace(columns=given.columns * 40, rows=given.rows / 40)  # type: ignore[operator]
            x = (scale * draw(1, 2, size, size)).to(dtype)
            given = rounded(given, x)
            wanted = expected(x, given)
            assert path(x, given) == "tensor_cores"
            once = (wanted.to(dtype).double() - wanted).norm()
            error = (applied(x, given).double() - wanted).norm()
            assert error < 1.002 * once


def test_result_is_laid_out_like_x() -> None:
    given = draw_map(14, 14, 7, 7, mirrored=True, outer=False)
    x = draw(2, 3, 14, 14).float()
    assert applied(x, given).is_contiguous()
    last = x.to(memory_format=torch.channels_last)
    assert applied(last, given).is_contiguous(memory_format=torch.channels_last)
    strided = x.mT
    assert torch.equal(applied(strided, given), applied(strided.contiguous(), given))
    for part in (x[0], x[0, 0]):
        assert torch.equal(applied(part, given), applied(part[None], given)[0])


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_nonfinite_stays_in_its_plane(dtype: torch.dtype) -> None:
    for height, width in ((14, 13), (30, 24)):
        given = draw_map(height, width, 7, 6, mirrored=True, outer=True)
        x = draw(2, 9, height, width).to(dtype)
        before = applied(x, given)
        x[1, 4, 3, 2] = torch.nan
        for last in (False, True):
            y = applied(laid_out(x, channels_last=last), given)
            assert y[1, 4].isnan().all()
            y[1, 4] = before[1, 4]
            torch.testing.assert_close(y, before)


def test_path_is_what_runs() -> None:
    def sized(height: int, width: int, dtype: torch.dtype = torch.float32) -> Tensor:
        return draw(1, 1, height, width).to(dtype)

    cases = {
        "plane": [
            (sized(56, 56), (28, 28)),
            (sized(56, 56, torch.float64), (28, 28)),
            (sized(1, 1), (1, 1)),
            (sized(112, 112), (56, 56)),
            (sized(14, 14, torch.bfloat16), (7, 7)),
            (sized(57, 7, torch.float16), (28, 3)),
        ],
        "tensor_cores": [
            (sized(56, 56, torch.bfloat16), (28, 28)),
            (sized(112, 112, torch.float16), (56, 56)),
        ],
        "lines": [
            (sized(56, 56), (28, 0)),
            (sized(56, 56), (0, 28)),
            (sized(224, 224), (112, 112)),
            (sized(400, 400, torch.bfloat16), (200, 200)),
            (sized(5000, 1), (4, 1)),
        ],
    }
    of_lines = 42240  # bytes of shared memory, whatever the problem
    for form, problems in cases.items():
        for x, (out_height, out_width) in problems:
            rows = draw_matrix(out_height, x.shape[-2], mirrored=True) if out_height else None
            columns = draw_matrix(out_width, x.shape[-1], mirrored=True) if out_width else None
            given = Map(rows, columns, None, mirrored=True)
            assert path(x, given) == form
            check(x, given)
            assert (last_launch()[1] == of_lines) == (form == "lines")


X = torch.zeros(2, 3, 8, 8)
A = torch.zeros(4, 8)
REFUSED: list[tuple[tuple[Any, ...], str]] = [
    ((X, None, None, None), "rows or columns must be a matrix, got neither"),
    ((X.int(), A, A, None), "x must be float32, float64, float16 or bfloat16"),
    ((X[0, 0, 0], A, A, None), "x must have at least 2 dimensions, got 1"),
    ((torch.tensor(0.0), None, A, None), "x must have at least 1 dimensions, got 0"),
    ((X[..., :0], None, torch.zeros(4, 0), None), "a plane of x must have 1 to"),
    ((X[:, :, :0], torch.zeros(4, 0), A, None), "a plane of x must have 1 to"),
    ((X, A[:, :7], A, None), "rows must be a matrix with at least 1 row and 8 columns"),
    ((X, A, A[:, :7], None), "columns must be a matrix with at least 1 row and 8 columns"),
    ((X, A[:0], A, None), "rows must be a matrix with at least 1 row"),
    ((X, A[0], A, None), "rows must be a matrix"),
    ((X, A.double(), A, None), "rows must be of the compute dtype of x and on its device"),
    ((X.double(), A.double(), A, None), "columns must be of the compute dtype of x"),
    ((X.half(), A, A.half(), None), "columns must be of the compute dtype of x"),
    ((X, A, None, torch.zeros(24)), "outer needs matrices for both axes"),
    ((X, A, A, torch.zeros(23)), "outer must hold 24 numbers"),
    ((X, A, A, torch.zeros(1, 24)), "outer must hold 24 numbers"),
    ((X, A, A, torch.zeros(24).double()), "outer must be of the compute dtype of x"),
    ((X, torch.zeros(1, 8).expand(2**14, 8), torch.zeros(1, 8).expand(2**13, 8), None), "a plane"),
]


@pytest.mark.parametrize(("arguments", "sentence"), REFUSED)
def test_refuses(arguments: tuple[Any, ...], sentence: str) -> None:
    for mirrored in (False, True):
        with pytest.raises(RuntimeError, match=f"separable: .*{sentence}"):
            ops().separable(*arguments, mirrored)


def test_empty_batches() -> None:
    for shape in ((0, 3, 8, 8), (2, 0, 8, 8)):
        assert ops().separable(torch.zeros(shape), A, A, None, True).shape == (*shape[:2], 4, 4)


def test_path_refuses_nonsense() -> None:
    numbers: list[tuple[list[int], list[int]]] = [
        ([1, 1, 8], [4, 4]),
        ([1, 1, 8, 8], [4]),
        ([-1, 1, 8, 8], [4, 4]),
        ([HUGE, HUGE, 8, 8], [4, 4]),
        ([1, 1, 0, 8], [4, 4]),
        ([1, 1, HUGE, HUGE], [4, 4]),
        ([1, 1, 8, 8], [HUGE, HUGE]),
    ]
    for size, outputs in numbers:
        with pytest.raises(RuntimeError, match="separable"):
            ops().separable_path(X, size, outputs, False, False, True)
    with pytest.raises(RuntimeError, match="like must be float32"):
        ops().separable_path(X.int(), [1, 1, 8, 8], [4, 4], False, False, True)
