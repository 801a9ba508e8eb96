"""The ops as they are made of CUDA kernels, run on the CPU: over the host replay of the kernels."""

import functools
import gc
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch
from kernels import cuda_replay
from kernels.cuda_replay import device, ops
from ops.cases import (
    assert_compiles,
    assert_isolates,
    assert_matches,
    half_size,
    layouts,
)
from ops.test_composition import arguments_of
from torch import Tensor

import freqops
from freqops.ops import _composition, _cuda, _responses
from freqops.ops._cuda import Kernels
from freqops.ops._responses import CACHE

FILTERS = ["fft_filter", "filter_bank", "filter_bank_adjoint", "low_high", "split_bands"]
NAMES = [*FILTERS, "spectral_correlation", "mix_amplitude_phase"]
# A size of each form and its branches; one row, one column, one pixel; a large prime.
SIZES = [
    (1, 1),
    (1, 2),
    (2, 1),
    (1, 7),
    (7, 1),
    (4, 6),
    (5, 7),
    (8, 8),
    (9, 37),
    (28, 28),
    (56, 56),
]
RESIZED = [
    ((1, 1), (2, 3)),
    ((8, 6), (4, 3)),
    ((5, 9), (7, 4)),
    ((6, 8), (6, 5)),
    ((7, 10), (4, 10)),
]
DTYPES = [torch.float32, torch.float16, torch.bfloat16]
every_op = pytest.mark.parametrize("name", NAMES)
every_filter = pytest.mark.parametrize("name", FILTERS)


@pytest.fixture
def replayed() -> Kernels:
    """The ops under test."""
    return Kernels(ops())


@pytest.fixture
def kernels(monkeypatch: pytest.MonkeyPatch, replayed: Kernels) -> Kernels:
    """The ops under test, where a composition would be a failure."""

    def refuse(*args: Any, **kwargs: Any) -> None:
        raise AssertionError("torch.fft was called")

    for name in ("rfftn", "irfftn"):
        monkeypatch.setattr(torch.fft, name, refuse)
    return replayed


@pytest.fixture(autouse=True)
def _fresh_cache() -> Iterator[None]:
    CACHE.clear()
    yield
    CACHE.clear()


def results_of(function: Callable[..., Any], arguments: Any) -> tuple[Tensor, ...]:
    results = function(*arguments)
    return results if isinstance(results, tuple) else (results,)


def in_float64(arguments: Any) -> list[Any]:
    return [value.double() if isinstance(value, Tensor) else value for value in arguments]


def assert_is_the_op(kernels: Kernels, name: str, arguments: Any) -> None:
    """Values against float64, dtype and strides against the CPU kernels."""
    op = getattr(torch.ops.freqops, name)
    exact = results_of(op, in_float64(arguments))
    there = results_of(op, arguments)
    computed = results_of(getattr(kernels, name), arguments)
    scale = max(float(part.abs().max()) for part in (arguments[0], *exact))
    for actual, expected, other in zip(computed, exact, there, strict=True):
        assert actual.dtype == other.dtype
        assert actual.stride() == other.stride()
        assert not actual._is_view()
        assert_matches(actual, expected, scale)


@every_op
@pytest.mark.parametrize("dims", [1, 2])
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_equals_the_op(kernels: Kernels, name: str, dims: int, size: tuple[int, int]) -> None:
    for complex_, per_channel in ((False, False), (True, True), (True, False)):
        x = torch.randn(3, 2, *size)
        assert_is_the_op(kernels, name, arguments_of(name, x, dims, complex_, per_channel))


@every_op
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_keeps_dtype_and_layout(kernels: Kernels, name: str, dtype: torch.dtype) -> None:
    for size in ((8, 8), (8, 9)):
        for dims in (1, 2):
            for _, x in layouts(torch.randn(2, 3, *size).to(dtype)):
                arguments = arguments_of(name, x, dims, True, True)
                assert_is_the_op(kernels, name, arguments)


@every_op
def test_takes_any_leading_axes(kernels: Kernels, name: str) -> None:
    for shape in ((8, 8), (3, 8, 8), (2, 1, 3, 8, 8), (1, 2, 1, 2, 3, 5, 5)):
        x = torch.randn(shape)
        for per_channel in (False, True)[: len(shape) - 1]:
            assert_is_the_op(kernels, name, arguments_of(name, x, 2, False, per_channel))
    if name == "mix_amplitude_phase":  # of images only
        return
    for shape in ((9,), (3, 9), (2, 2, 3, 2, 9)):
        for per_channel in (False, True)[: len(shape)]:
            x = torch.randn(shape)
            assert_is_the_op(kernels, name, arguments_of(name, x, 1, False, per_channel))


@every_op
def test_takes_empty_batches(replayed: Kernels, name: str) -> None:
    for shape in ((0, 3, 4, 6), (2, 0, 4, 6), (0, 4, 6)):
        arguments = arguments_of(name, torch.zeros(shape), 2, False, False)
        computed = results_of(getattr(replayed, name), arguments)
        there = results_of(getattr(torch.ops.freqops, name), arguments)
        assert [result.shape for result in computed] == [result.shape for result in there]


@pytest.mark.parametrize("name", [*FILTERS, "mix_amplitude_phase"])
def test_nonfinite_plane_stays_alone(kernels: Kernels, name: str) -> None:
    for size in ((8, 8), (5, 6)):
        _, *rest = arguments_of(name, torch.zeros(3, 2, *size), 2, True, False)
        op = getattr(kernels, name)
        if name == "filter_bank_adjoint":  # of three equal slabs
            assert_isolates(
                lambda x, op=op, rest=rest: op(x.expand(3, *x.shape), *rest), (3, 2, *size)
            )
        else:
            assert_isolates(
                lambda x, op=op, rest=rest: op(x, *rest),
                (3, 2, *size),
                slabs=name in ("filter_bank", "low_high", "split_bands"),
            )


def test_writes_to_out(kernels: Kernels) -> None:
    for size in ((8, 8), (8, 9)):
        x, response = torch.randn(2, 3, *size), torch.randn(half_size(size))
        expected = kernels.fft_filter(x, response, None, 2)
        for name, out in layouts(torch.empty_like(x)):
            assert kernels.fft_filter_out(x, response, None, 2, out=out) is out
            assert torch.equal(out, expected), name


def test_bands_add_up(kernels: Kernels) -> None:
    x = torch.randn(5, 3, 28, 28)
    responses = torch.rand(3, 28, 15)
    low, high = kernels.low_high(x, responses, 2)
    torch.testing.assert_close(low + high, x.expand_as(low))
    torch.testing.assert_close(kernels.split_bands(x, responses, 2).sum(0), x)
    half = x.half()
    assert torch.equal(
        kernels.split_bands(half, responses, 2),
        kernels.split_bands(half.float(), responses, 2).half(),
    )


def test_adjoint_is_summed_in_float32(kernels: Kernels) -> None:
    """Terms that cancel: rounded to a half type one by one they would leave nothing but errors."""
    y = torch.randn(2, 3, 8, 8).half()
    y[1] = y[0]
    responses = 1000 * torch.rand(2, 8, 5) + 1
    responses[1] = 1 - responses[0]
    summed = kernels.filter_bank_adjoint(y, responses, None, 2)
    torch.testing.assert_close(summed, y[0], rtol=0, atol=2e-3)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize(("size", "target"), RESIZED, ids=str)
def test_resizes_spectra(
    kernels: Kernels, size: tuple[int, int], target: tuple[int, int], dtype: torch.dtype
) -> None:
    """Along both axes and the last, in every layout, as the CPU kernels do."""
    resize = torch.ops.freqops.resize_spectrum
    gains = [
        torch.rand(min(pair) // 2 + 1, dtype=torch.float64)
        for pair in zip(size, target, strict=True)
    ]
    values = torch.randn(2, 3, *size).to(dtype)
    for own, to in ((gains[0], list(target)), (gains[0][:0], [target[1]])):
        exact = resize(values.double(), own, gains[1], to, False)
        for _, x in layouts(values):
            there = resize(x, own, gains[1], to, False)
            y = kernels.resize_spectrum(x, own, gains[1], to, False)
            assert y.dtype == dtype
            assert y.stride() == there.stride()
            assert not y._is_view()
            assert_matches(y, exact, float(exact.abs().max()) + 1)
    line = values[0, 0, 0]
    y = kernels.resize_spectrum(line, gains[0][:0], gains[1], [target[1]], False)
    assert_matches(y, resize(line.double(), gains[0][:0], gains[1], [target[1]], False), 10)


def test_resizes_no_spectra_where_there_are_none(replayed: Kernels) -> None:
    """Empty batches, float64, and lines too long for the kernels."""
    resize = torch.ops.freqops.resize_spectrum
    gains = torch.rand(3, dtype=torch.float64)
    for x in (torch.zeros(0, 3, 6, 5), torch.randn(2, 6, 5, dtype=torch.float64)):
        computed = replayed.resize_spectrum(x, gains, gains, [4, 7], False)
        torch.testing.assert_close(computed, resize(x, gains, gains, [4, 7], False))
    line = torch.randn(2**20)
    computed = replayed.resize_spectrum(line, gains[:0], gains, [5], False)
    torch.testing.assert_close(
        computed, resize(line, gains[:0], gains, [5], False), rtol=1e-4, atol=1e-2
    )


# --- what the kernels do not take ----------------------------------------------------------------


@every_op
def test_torch_fft_takes_the_rest(
    monkeypatch: pytest.MonkeyPatch, replayed: Kernels, name: str
) -> None:
    composed = []
    original = getattr(_composition, name)

    def noted(*args: Any) -> Any:
        composed.append(name)
        return original(*args)

    monkeypatch.setattr(_composition, name, noted)
    double = torch.randn(2, 3, 8, 8, dtype=torch.float64)
    long = torch.randn(2, 40000)
    for x, dims in ((double, 2), (double, 1), (long, 1)):
        assert_is_the_op(replayed, name, arguments_of(name, x, dims, False, False))
    assert composed == [name] * 3


def test_form_is_asked_once_per_device_and_size() -> None:
    kernels = Kernels(ops())
    x = torch.zeros(2, 128, 128)
    form = kernels.form(x, 2)
    assert form == ops().fft_filter_form(128, 128) != "lines"
    with device(shared_bytes=48 * 1024, clusters=False):
        assert ops().fft_filter_form(128, 128) == "lines"
        assert kernels.form(x, 2) == form  # devices do not change, this one was told to
        assert Kernels(ops()).form(x, 2) == "lines"


def test_wrong_calls_raise_a_sentence(kernels: Kernels) -> None:
    """The public functions check first; the ops may be called without them."""
    x = torch.randn(2, 3, 8, 8)
    for response, sentence in (
        (torch.randn(8, 4), "response must have 5 columns for a width of 8, got 4"),
        (torch.randn(9, 5), "does not take planes of 9 x 8|table must be what"),
        (torch.randn(2, 8, 5), "channels must be 0 or those of x"),
        (torch.randn(8, 5).double(), "response must be a contiguous float32"),
        (torch.randn(5), "response must have at least 2 dimensions"),
    ):
        with pytest.raises(RuntimeError, match=sentence):
            kernels.fft_filter(x, response, None, 2)
    with pytest.raises(RuntimeError, match="imag must have the shape"):
        kernels.fft_filter(x, torch.randn(8, 5), torch.randn(8, 6), 2)


# --- tables --------------------------------------------------------------------------------------


@pytest.fixture
def filled(monkeypatch: pytest.MonkeyPatch, kernels: Kernels) -> list[weakref.ref[Tensor]]:
    """The tables filled from now on."""
    tables: list[weakref.ref[Tensor]] = []
    original = kernels._table

    def noted(*args: Any) -> Tensor:
        table: Tensor = original(*args)
        tables.append(weakref.ref(table))
        return table

    monkeypatch.setattr(kernels, "_table", noted)
    return tables


def held_response(*shape: int) -> Tensor:
    return CACHE.get(shape, functools.partial(torch.rand, *shape))


def test_response_of_a_caller_may_change(
    kernels: Kernels, filled: list[weakref.ref[Tensor]]
) -> None:
    x, response = torch.randn(2, 8, 8), torch.rand(8, 5)
    before = kernels.fft_filter(x, response, None, 2)
    response *= 2
    assert torch.equal(kernels.fft_filter(x, response, None, 2), 2 * before)
    response.data.mul_(2)  # which no version counter sees
    assert torch.equal(kernels.fft_filter(x, response, None, 2), 4 * before)
    assert len(filled) == 3
    gc.collect()
    assert [table() for table in filled] == [None] * 3


def test_table_is_kept_with_its_response(
    kernels: Kernels, filled: list[weakref.ref[Tensor]]
) -> None:
    response = held_response(2, 8, 5)
    x = torch.randn(3, 8, 8)
    first = kernels.low_high(x, response, 2)
    for _ in range(3):
        for one, other in zip(first, kernels.low_high(x, response, 2), strict=True):
            assert torch.equal(one, other)
    kernels.filter_bank(x.half(), response, None, 2)
    kernels.split_bands(x, response, 2)
    assert len(filled) == 1
    # As many columns, another size; and each slice of a bank.
    kernels.filter_bank(torch.randn(3, 8, 9), response, None, 2)
    assert len(filled) == 2
    for _ in range(2):
        kernels.filter_bank_adjoint(torch.randn(2, 3, 8, 8), response, None, 2)
    assert len(filled) == 4
    # An imaginary part is nobody's but the caller's.
    for _ in range(2):
        kernels.filter_bank(x, response, torch.rand(2, 8, 5), 2)
    assert len(filled) == 6
    CACHE.clear()
    gc.collect()
    assert [table() for table in filled] == [None] * 6
    kernels.filter_bank(x, response, None, 2)
    kernels.filter_bank(x, response, None, 2)
    assert len(filled) == 8


def test_table_is_of_one_size(kernels: Kernels) -> None:
    """A half spectrum of so many columns is that of two widths."""
    response = held_response(9, 4)
    for _ in range(2):
        for width in (6, 7):
            x = torch.randn(2, 9, width)
            assert_is_the_op(kernels, "fft_filter", (x, response, None, 2))
            assert_is_the_op(kernels, "fft_filter", (x, response, None, 1))


def test_tables_count_among_what_is_held(kernels: Kernels) -> None:
    response = held_response(8, 5)
    before = CACHE.nbytes
    kernels.fft_filter(torch.randn(2, 8, 8), response, None, 2)
    assert CACHE.nbytes == before + 4 * 8 * 8


def test_streams_have_tables_of_their_own(
    monkeypatch: pytest.MonkeyPatch, kernels: Kernels, filled: list[weakref.ref[Tensor]]
) -> None:
    response, x = held_response(8, 5), torch.randn(2, 8, 8)
    for stream, count in ((1, 1), (2, 2), (1, 2), (2, 2)):
        monkeypatch.setattr(_cuda, "current_stream", lambda _, stream=stream: stream)
        kernels.fft_filter(x, response, None, 2)
        assert len(filled) == count


def test_graph_under_capture_shares_no_table(
    monkeypatch: pytest.MonkeyPatch, kernels: Kernels, filled: list[weakref.ref[Tensor]]
) -> None:
    response, x = held_response(8, 5), torch.randn(2, 8, 8)
    kernels.fft_filter(x, response, None, 2)
    monkeypatch.setattr(_cuda, "current_stream", lambda _: None)
    kernels.fft_filter(x, response, None, 2)
    kernels.fft_filter(x, response, None, 2)
    assert len(filled) == 3
    gc.collect()
    assert [table() is None for table in filled] == [False, True, True]


def test_graph_keeps_the_response_it_captured(monkeypatch: pytest.MonkeyPatch) -> None:
    x = torch.randn(2, 8, 10)
    freqops.low_high2d(x, 0.2)
    assert len(CACHE) == 1
    (held,) = CACHE._held.values()
    kept = weakref.ref(held.response)
    monkeypatch.setattr(_responses, "current_stream", lambda _: None)
    captured = _responses.response_for(x, 2, _low_pass, 0.2)
    assert len(CACHE) == 1  # what is built within a graph belongs to the graph
    assert _responses.response_for(x, 2, _low_pass, 0.2) is not captured
    freqops.low_high2d(x, 0.2)
    monkeypatch.undo()
    del held
    CACHE.clear()
    gc.collect()
    assert kept() is not None
    CACHE._captured.clear()
    gc.collect()
    assert kept() is None


def _low_pass(size: tuple[int, ...], cutoff: float, **options: Any) -> Tensor:
    return freqops.filters.low_pass(size, cutoff, **options)


def test_threads_share_tables(kernels: Kernels) -> None:
    responses = [held_response(n, n // 2 + 1) for n in (7, 8, 9)]
    images = [torch.randn(2, n, n) for n in (7, 8, 9)]
    arguments = [(x, k, None, 2) for x, k in zip(images, responses, strict=True)] * 20
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda call: kernels.fft_filter(*call), arguments))
    for call, result in zip(arguments, results, strict=True):
        assert torch.equal(result, kernels.fft_filter(*call))


# --- under torch's dispatcher: what is registered for CUDA, in the place of the CPU kernels -------


@pytest.fixture
def dispatched(replayed: Kernels) -> Iterator[Kernels]:
    """torch.ops.freqops and the public functions do on the CPU what they do on CUDA."""
    with cuda_replay.dispatched(replayed):
        yield replayed


def without_faint_bins(x: Tensor) -> Tensor:
    """A phase's gradient divides by its amplitude: near zero, float32 and float64 part ways."""
    spectrum = torch.fft.rfft2(x)
    return torch.fft.irfft2(spectrum + 4 * spectrum.sgn(), s=x.shape[-2:])


X = without_faint_bins(torch.randn(2, 3, 9, 8))
K = torch.randn(9, 5, dtype=torch.complex64)
PUBLIC: list[tuple[str, Callable[[Tensor, Tensor], Any]]] = [
    ("fft_filter2d", freqops.fft_filter2d),
    ("fft_filter1d", lambda x, k: freqops.fft_filter1d(x, k[0])),
    ("filter_bank2d", lambda x, k: freqops.filter_bank2d(x, torch.stack([k, 2 * k]))),
    ("low_high2d", lambda x, k: freqops.low_high2d(x, [0.1, 0.3], kind="gaussian")),
    ("split_bands2d", lambda x, k: freqops.split_bands2d(x, [0.1, 0.3])),
    ("mix_amplitude_phase2d", lambda x, k: freqops.mix_amplitude_phase2d(x, x.flip(-2))),
]
every_function = pytest.mark.parametrize("function", [f for _, f in PUBLIC], ids=dict(PUBLIC))


def stacked(result: Any) -> Tensor:
    return torch.cat([part.reshape(-1, *X.shape) for part in results_of(lambda: result, ())])


def test_dispatched_ops_are_the_kernels(dispatched: Kernels) -> None:
    """The fixture does what it says."""
    table = ops().fft_filter_table(K.real.contiguous(), K.imag.contiguous(), "lines", 8)
    (expected,) = ops().fft_filter_planes(X, table, "lines", 1, 0, True, False)
    assert torch.equal(freqops.fft_filter2d(X, K), expected[0])


@every_function
def test_gradients(dispatched: Kernels, function: Callable[..., Any]) -> None:
    """Of x and of the response, once and twice, against those in float64."""
    gradients = []
    for real, complex_ in ((torch.float32, torch.complex64), (torch.float64, torch.complex128)):
        x = X.to(real, copy=True).requires_grad_()
        k = K.to(complex_, copy=True).requires_grad_()
        loss = stacked(function(x, k)).pow(3).sum()
        first = torch.autograd.grad(loss, (x, k), create_graph=True, materialize_grads=True)
        parts = [part for part in first if part.requires_grad]
        square = sum(part.abs().pow(2).sum() for part in parts)
        second = torch.autograd.grad(square, (x, k), materialize_grads=True)
        gradients.append([*first, *second])
    for actual, expected in zip(*gradients, strict=True):
        scale = float(expected.detach().abs().max()) + 1e-3
        assert float((actual - expected).detach().abs().max()) < 1e-5 * scale


@every_function
def test_maps_and_compiles(dispatched: Kernels, function: Callable[..., Any]) -> None:
    images = torch.stack([X, X.flip(0)])
    mapped = torch.vmap(function, in_dims=(0, None))(images, K)
    for index, image in enumerate(images):
        for actual, expected in zip(
            results_of(lambda: mapped, ()), results_of(function, (image, K)), strict=True
        ):
            assert torch.equal(actual[index], expected)
    assert_compiles(function, (X, K), (X[:1].contiguous(memory_format=torch.channels_last), K))


def test_results_can_be_written_to(dispatched: Kernels) -> None:
    for function in (freqops.fft_filter2d, freqops.fft_filter1d):
        x = X.clone().requires_grad_()
        y = function(x, torch.ones(9, 5) if function is freqops.fft_filter2d else torch.ones(5))
        y.mul_(3).sum().backward()
        torch.testing.assert_close(x.grad, torch.full_like(X, 3))


def test_forward_and_backward_share_a_table(
    dispatched: Kernels, filled: list[weakref.ref[Tensor]]
) -> None:
    low_pass = freqops.LowPass2d(0.2)
    for _ in range(3):
        x = torch.randn(2, 3, 8, 8, requires_grad=True)
        low_pass(x).sum().backward()
        assert x.grad is not None
    assert len(filled) == 1


@every_function
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_autocast_changes_nothing(
    dispatched: Kernels, function: Callable[..., Any], dtype: torch.dtype
) -> None:
    x = X.to(dtype)
    expected = results_of(function, (x, K))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        actual = results_of(function, (x, K))
    for one, other in zip(actual, expected, strict=True):
        assert one.dtype == dtype
        assert torch.equal(one, other)


@pytest.mark.cuda
@every_function
@pytest.mark.parametrize("dtype", [*DTYPES, torch.float64], ids=str)
def test_autocast_changes_nothing_on_cuda(function: Callable[..., Any], dtype: torch.dtype) -> None:
    x, k = X.to("cuda", dtype), K.cuda()
    expected = results_of(function, (x, k))
    for autocast in (torch.float16, torch.bfloat16):
        with torch.autocast("cuda", dtype=autocast):
            actual = results_of(function, (x, k))
        for one, other in zip(actual, expected, strict=True):
            assert one.dtype == dtype
            assert torch.equal(one, other)


@pytest.mark.cuda
def test_graph_outlives_the_cache() -> None:
    """What a graph reads stays where it is: its responses, and tables that are filled anew."""
    images = torch.rand(2, 4, 3, 32, 32, device="cuda")
    expected = [freqops.low_high2d(x, [0.1, 0.3]) for x in images]
    x = images[0].clone()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        captured = freqops.low_high2d(x, [0.1, 0.3])
    CACHE.clear()
    gc.collect()
    overwritten = [torch.full((3, 32, 17), torch.nan, device="cuda") for _ in range(1000)]
    for source, parts in zip(images, expected, strict=True):
        x.copy_(source)
        graph.replay()
        for actual, part in zip(captured, parts, strict=True):
            assert torch.equal(actual, part)
    del overwritten
    CACHE._captured.clear()


@pytest.mark.cuda
def test_streams_wait_for_no_other_stream() -> None:
    """A response and its table are made on the stream that reads them, behind work that is slow."""
    x = torch.rand(64, 3, 32, 32, device="cuda")
    expected = freqops.low_high2d(x, 0.2)[0]
    CACHE.clear()
    streams = [torch.cuda.Stream() for _ in range(4)]
    results = []
    for stream in streams:
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            torch.cuda._sleep(10_000_000)
            results.append(freqops.low_high2d(x, 0.2)[0])
    torch.cuda.synchronize()
    assert all(torch.equal(result, expected) for result in results)
