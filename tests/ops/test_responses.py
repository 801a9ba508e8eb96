"""Responses built from cutoffs are kept, within bounds, and nothing of a trace among them."""

from collections.abc import Iterator

import pytest
import torch
from torch._subclasses import FakeTensorMode

import freqops
from freqops import filters
from freqops.ops import _responses
from freqops.ops._responses import CACHE, ResponseCache


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    CACHE.clear()
    yield
    CACHE.clear()


def built(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
    """The sizes for which a low pass is built from now on."""
    sizes: list[tuple[int, ...]] = []
    original = filters._low_pass

    def counting(sides: tuple[int, ...], *args: object) -> torch.Tensor:
        sizes.append(sides)
        return original(sides, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(filters, "_low_pass", counting)
    return sizes


def test_same_arguments_build_once(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = built(monkeypatch)
    x = torch.randn(2, 3, 8, 10)
    for _ in range(3):
        freqops.low_high2d(x, [0.1, 0.2])
    assert sizes == [(8, 10)]
    freqops.low_high2d(x.bfloat16(), [0.1, 0.2])  # the same compute dtype
    assert len(sizes) == 1
    freqops.low_high2d(x.double(), [0.1, 0.2])
    freqops.low_high2d(x, [0.1, 0.2], inclusive=True)
    freqops.low_high2d(x, [0.1, 0.25])
    freqops.low_high2d(x[..., :9], [0.1, 0.2])
    assert len(sizes) == 5


def test_modules_share_responses(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = built(monkeypatch)
    x = torch.randn(2, 3, 8, 10)
    freqops.LowPass2d(0.2)(x)
    freqops.LowPass2d(0.2)(x)
    assert sizes == [(8, 10)]


def test_tensor_cutoffs_are_built_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = built(monkeypatch)
    x, cutoffs = torch.randn(8, 10), torch.tensor([0.1, 0.2])
    low, _ = freqops.low_high2d(x, cutoffs)
    cutoffs += 0.2
    assert not torch.equal(freqops.low_high2d(x, cutoffs)[0], low)
    assert len(sizes) == 2


def test_is_bounded() -> None:
    cache = ResponseCache(entries=3, nbytes=1000)
    for n in range(10):
        cache.get(n, lambda: torch.zeros(10))
    assert len(cache) == 3
    cache.get("large", lambda: torch.zeros(240))
    assert len(cache) == 2
    cache.get("larger than all", lambda: torch.zeros(1000))
    assert len(cache) == 0
    assert cache.nbytes == 0


def test_least_recently_used_goes_first() -> None:
    cache = ResponseCache(entries=2, nbytes=1000)
    first = cache.get("a", lambda: torch.zeros(1))
    cache.get("b", lambda: torch.zeros(1))
    assert cache.get("a", lambda: torch.ones(1)) is first
    cache.get("c", lambda: torch.zeros(1))
    assert cache.get("a", lambda: torch.ones(1)) is first
    assert cache.get("b", lambda: torch.ones(1)).item() == 1


def test_what_is_derived_stays_with_its_response() -> None:
    cache = ResponseCache(entries=2, nbytes=1000)
    first = cache.get("a", lambda: torch.zeros(10))
    assert cache.holds(first)
    assert not cache.holds(first.clone())
    made = cache.derived(first, "table", lambda: torch.zeros(20))
    assert cache.derived(first, "table", lambda: torch.ones(20)) is made
    assert cache.derived(first, "another", lambda: torch.ones(20)) is not made
    assert cache.nbytes == 4 * (10 + 20 + 20)
    cache.get("b", lambda: torch.zeros(1))
    cache.get("c", lambda: torch.zeros(1))
    assert not cache.holds(first)
    assert cache.nbytes == 8
    assert cache.derived(first, "table", lambda: torch.ones(20)) is not made
    assert cache.nbytes == 8


def test_what_is_derived_is_bounded() -> None:
    cache = ResponseCache(entries=3, nbytes=1000)
    first = cache.get("a", lambda: torch.zeros(10))
    second = cache.get("b", lambda: torch.zeros(10))
    cache.derived(second, "table", lambda: torch.zeros(200))
    assert cache.holds(second)
    cache.derived(second, "another", lambda: torch.zeros(40))
    assert not cache.holds(first)
    assert cache.nbytes == 4 * (10 + 200 + 40)
    cache.derived(second, "one more", lambda: torch.zeros(1))
    assert not cache.holds(second)
    assert cache.nbytes == 0


def test_streams_have_responses_of_their_own() -> None:
    cache = ResponseCache(entries=3, nbytes=1000)
    built = []

    def build() -> torch.Tensor:
        built.append(torch.zeros(1))
        return built[-1]

    for _ in range(2):
        for stream in (1, 2):
            assert cache.get("a", build, stream) is built[stream - 1]
    assert len(built) == 2


def test_graph_keeps_a_response_for_good() -> None:
    cache = ResponseCache(entries=1, nbytes=1000)
    held = cache.get("a", lambda: torch.zeros(1), stream=1)
    assert cache.get_captured("a", lambda: torch.zeros(1)) is held
    cache.get("b", lambda: torch.zeros(1))
    assert not cache.holds(held)
    assert cache.get_captured("a", lambda: torch.zeros(1)) is held
    built = cache.get_captured("c", lambda: torch.zeros(1))
    assert cache.get_captured("c", lambda: torch.zeros(1)) is not built


def test_response_made_in_inference_mode_serves_training() -> None:
    x = torch.randn(2, 8, 10)
    with torch.inference_mode():
        freqops.low_high2d(x, 0.2)
    tracked = x.clone().requires_grad_()
    freqops.low_high2d(tracked, 0.2)[0].sum().backward()
    assert tracked.grad is not None


@pytest.mark.parametrize("transform", [torch.vmap, torch.func.grad])
def test_response_made_inside_a_transform_serves_outside(transform: object) -> None:
    x = torch.randn(3, 8, 10)

    def low(x: torch.Tensor) -> torch.Tensor:
        return freqops.low_high2d(x, 0.2)[0].sum()

    transform(low)(x)  # type: ignore[operator]
    inside = freqops.low_high2d(x, 0.2)[0]
    CACHE.clear()
    assert torch.equal(inside, freqops.low_high2d(x, 0.2)[0])


def test_fake_tensors_leave_nothing_behind() -> None:
    x = torch.randn(2, 8, 10)
    with FakeTensorMode() as mode:
        low, _ = freqops.low_high2d(mode.from_tensor(x), 0.2)
        assert low.shape == x.shape
    assert len(CACHE) == 0
    freqops.low_high2d(x, 0.2)
    assert len(CACHE) == 1
    with FakeTensorMode() as mode:  # a real response in the cache must not meet a fake image
        freqops.low_high2d(mode.from_tensor(x), 0.2)


def test_compiled_graph_holds_the_arithmetic() -> None:
    torch._dynamo.reset()
    layer = torch.compile(freqops.LowPass2d(0.2), fullgraph=True, backend="eager")
    layer(torch.randn(8, 10))
    assert len(CACHE) == 0


def test_response_shared_between_threads() -> None:
    from concurrent.futures import ThreadPoolExecutor

    images = [torch.randn(4 + n % 5, 10) for n in range(40)]
    expected = [freqops.low_high2d(x, 0.2)[0] for x in images]
    CACHE.clear()
    with ThreadPoolExecutor(4) as pool:
        actual = list(pool.map(lambda x: freqops.low_high2d(x, 0.2)[0], images))
    assert all(torch.equal(a, e) for a, e in zip(actual, expected, strict=True))


def test_parts_of_a_response() -> None:
    x = torch.randn(4, 5).bfloat16()
    real, imag = _responses.real_and_imaginary(torch.ones(4, 3, dtype=torch.bool), x)
    assert real.dtype == torch.float32
    assert imag is None
    response = torch.randn(4, 3, dtype=torch.complex128).conj()
    real, imag = _responses.real_and_imaginary(response, x)
    assert imag is not None
    assert real.is_contiguous()
    assert imag.is_contiguous()
    assert torch.equal(imag, response.imag.float())
