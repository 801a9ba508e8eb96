"""The public contract: names, argument names, their order and defaults, written down once more.

More keyword-only options with defaults may come; nothing listed here may change or go.
"""

import inspect
from collections.abc import Callable
from typing import Any

import pytest
import torch

import freqops
from freqops import evaluation, filters

REQUIRED = inspect.Parameter.empty
RESPONSE = {
    "kind": "ideal",
    "norm": "l2",
    "unit": "cycles",
    "order": 2,
    "inclusive": False,
    "dtype": None,
    "device": None,
}
BANDS = {"unit": "cycles", "norm": "l2", "inclusive": False}

# name: (positional arguments with defaults, keyword-only arguments with defaults)
Signature = tuple[dict[str, Any], dict[str, Any]]


def required(*names: str) -> dict[str, Any]:
    return dict.fromkeys(names, REQUIRED)


FUNCTIONS: dict[str, Signature] = {
    "fft_filter1d": (required("x", "response"), {}),
    "fft_filter2d": (required("x", "response"), {}),
    "filter_bank1d": (required("x", "responses"), {}),
    "filter_bank2d": (required("x", "responses"), {}),
    "split_bands2d": (required("x", "cutoffs"), BANDS),
    "low_high2d": (required("x", "cutoff"), {**BANDS, "kind": "ideal"}),
    "mix_amplitude_phase2d": (required("amplitude", "phase"), {"over_channels": False}),
    **{
        f"blur_pool{dims}d": (
            {**required("x"), "taps": 3, "stride": 2},
            {"padding": None, "padding_mode": "reflect"},
        )
        for dims in (1, 2, 3)
    },
    **{
        f"blur_pool_adjoint{dims}d": (
            {**required("y", "size"), "taps": 3, "stride": 2},
            {"padding": None, "padding_mode": "reflect"},
        )
        for dims in (1, 2, 3)
    },
    **{
        f"max_blur_pool{dims}d": (
            {**required("x"), "kernel_size": 2, "taps": 3, "stride": 2},
            {"max_padding": 0, "ceil_mode": False, "padding_mode": "reflect"},
        )
        for dims in (1, 2)
    },
    **{
        f"spectral_pool{dims}d": (
            {**required("x"), "output_size": None},
            {"scale_factor": 0.5, "window": None, "nyquist": "half", "norm": "forward"},
        )
        for dims in (1, 2)
    },
    "flc_pool2d": ({**required("x"), "output_size": None}, {}),
    "polyphase_pool2d": (
        {**required("x"), "taps": 1},
        {"criterion": "l2", "padding_mode": "circular", "index": None},
    ),
    "polyphase_unpool2d": (
        {**required("y", "index", "output_size"), "taps": 1},
        {"padding_mode": "circular"},
    ),
    "upfirdn2d": (
        {**required("x", "f"), "up": 1, "down": 1, "padding": 0, "flip_filter": False, "gain": 1.0},
        {},
    ),
    "filtered_leaky_relu2d": (
        {
            **required("x"),
            **dict.fromkeys(("fu", "fd", "bias")),
            **{"up": 1, "down": 1, "padding": 0, "gain": 2**0.5, "slope": 0.2},
            **{"clamp": None, "flip_filter": False},
        },
        {},
    ),
    **{
        f"fft_conv{dims}d": (
            {
                **required("x", "weight"),
                **{"bias": None, "stride": 1, "padding": 0, "dilation": 1, "groups": 1},
            },
            {"algorithm": None},
        )
        for dims in (1, 2)
    },
    **{
        f"band_limited_conv{dims}d": (
            {**required("x", "weight"), "bias": None, "stride": 1, "padding": 0},
            {"groups": 1, "band": None, "compression": 0.0, "fft_size": None},
        )
        for dims in (1, 2)
    },
    "band_for_energy": (required("x", "share", "fft_size"), {}),
    "spectral_conv2d": (
        {**required("x", "weight"), "bias": None},
        {"modes": REQUIRED, "output_size": None},
    ),
}
FILTERS: dict[str, Signature] = {
    "low_pass": (required("size", "cutoff"), RESPONSE),
    "high_pass": (required("size", "cutoff"), RESPONSE),
    "band_pass": (required("size", "low", "high"), RESPONSE),
    "binomial_taps": (required("n"), {}),
    "gaussian_taps": (required("n", "sigma"), {}),
    "lanczos_taps": (required("n", "a"), {}),
    "frequency_response": (required("taps", "size"), {}),
}
MODULES: dict[str, dict[str, Any]] = {
    f"{name}{dims}d": arguments
    for dims in (1, 2)
    for name, arguments in {
        "FFTFilter": required("response"),
        "LowPass": required("cutoff"),
        "HighPass": required("cutoff"),
        "BandPass": required("low", "high"),
        "GlobalFilter": required("channels", "size"),
    }.items()
}
POOLING_MODULES: dict[str, Signature] = {
    **{
        f"BlurPool{dims}d": (
            {"taps": 3, "stride": 2},
            {"padding": None, "padding_mode": "reflect", "learnable": False, "channels": None},
        )
        for dims in (1, 2, 3)
    },
    **{
        f"MaxBlurPool{dims}d": (
            {"kernel_size": 2, "taps": 3, "stride": 2},
            {"max_padding": 0, "ceil_mode": False, "padding": None, "padding_mode": "reflect"},
        )
        for dims in (1, 2)
    },
    **{
        f"SpectralPool{dims}d": (
            {"output_size": None, "scale_factor": 0.5},
            {"window": None, "nyquist": "half", "norm": "forward"},
        )
        for dims in (1, 2)
    },
    "FLCPool2d": ({"output_size": None}, {}),
    "PolyphasePool2d": ({"taps": 1}, {"criterion": "l2", "padding_mode": "circular"}),
    "FilteredLeakyReLU2d": (
        {
            **dict.fromkeys(("fu", "fd")),
            **{"up": 1, "down": 1, "padding": 0, "gain": 2**0.5, "slope": 0.2},
            **{"clamp": None, "flip_filter": False},
        },
        {"channels": None},
    ),
}
SWEEP: Signature = (
    required("models", "data", "cutoffs"),
    {
        "unit": "bins",
        "kinds": ("low", "high"),
        "norm": "l2",
        "kind": "ideal",
        "metric": None,
        "normalize": None,
        "device": None,
        "autocast": None,
        "max_batches": None,
        "progress": True,
        "resume": None,
    },
)


ANTIALIAS: Signature = (
    {**required("model"), "recipe": "zhang"},
    {
        **dict.fromkeys(("taps", "include", "exclude", "example")),
        **{"padding_mode": "reflect", "dry_run": False},
    },
)


ACCELERATE: Signature = (
    required("model"),
    {**dict.fromkeys(("include", "exclude", "example")), "dry_run": False},
)
BAND_LIMIT: Signature = (required("model", "compression"), ACCELERATE[1])


def check(function: Callable[..., Any], signature: Signature) -> None:
    positional, keywords = signature
    parameters = inspect.signature(function).parameters.values()
    in_order = [p for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]
    assert {p.name: p.default for p in in_order} == positional
    assert [p.name for p in in_order] == list(positional)
    by_keyword = {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}
    assert {name: by_keyword.get(name, REQUIRED) for name in keywords} == keywords
    # Options that came later are optional.
    assert REQUIRED not in {v for name, v in by_keyword.items() if name not in keywords}
    assert not [p for p in parameters if p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_function(name: str) -> None:
    check(getattr(freqops, name), FUNCTIONS[name])


@pytest.mark.parametrize("name", FILTERS)
def test_filter(name: str) -> None:
    check(getattr(filters, name), FILTERS[name])


def test_kaiser_taps() -> None:
    """beta has a default the contract leaves open."""
    parameters = inspect.signature(filters.kaiser_taps).parameters
    assert list(parameters)[:3] == ["n", "cutoff", "beta"]
    assert isinstance(parameters["beta"].default, float)


@pytest.mark.parametrize("name", MODULES)
def test_module(name: str) -> None:
    module = getattr(freqops, name)
    assert issubclass(module, torch.nn.Module)
    parameters = inspect.signature(module).parameters.values()
    in_order = [p for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]
    assert {p.name: p.default for p in in_order if p.default is REQUIRED} == MODULES[name]
    assert [p.name for p in in_order][: len(MODULES[name])] == list(MODULES[name])


@pytest.mark.parametrize("name", POOLING_MODULES)
def test_pooling_module(name: str) -> None:
    """No key of a checkpoint where nothing is learned; all of the defaults work."""
    module = getattr(freqops, name)
    check(module, POOLING_MODULES[name])
    assert not module().state_dict()


def test_learned_taps() -> None:
    """Checkpoints depend on these names and shapes."""
    for dims, name in ((1, "BlurPool1d"), (2, "BlurPool2d"), (3, "BlurPool3d")):
        own = getattr(freqops, name)(learnable=True, channels=5).state_dict()
        assert {key: tuple(taps.shape) for key, taps in own.items()} == {"taps": (5, *[3] * dims)}


@pytest.mark.parametrize("name", ["LowPass2d", "HighPass2d"])
def test_pass_module_takes_the_options_of_its_response(name: str) -> None:
    parameters = inspect.signature(getattr(freqops, name)).parameters
    options = {key: RESPONSE[key] for key in ("kind", "norm", "unit", "order", "inclusive")}
    assert {key: parameters[key].default for key in options} == options


def test_global_filter_parameter() -> None:
    """Checkpoints depend on this name and shape."""
    two, one = freqops.GlobalFilter2d(3, (8, 10)), freqops.GlobalFilter1d(3, 10)
    assert {name: tuple(p.shape) for name, p in two.state_dict().items()} == {
        "weight": (3, 8, 6, 2)
    }
    assert {name: tuple(p.shape) for name, p in one.state_dict().items()} == {"weight": (3, 6, 2)}
    assert [name for name, _ in two.named_parameters()] == ["weight"]


@pytest.mark.parametrize("dims", [1, 2])
@pytest.mark.parametrize("name", ["FFTConv", "BandLimitedConv"])
def test_convolution_module_is_torchs(name: str, dims: int) -> None:
    """Arguments in their order, and a checkpoint's names and shapes, are those of nn.Conv."""
    torchs: Any = torch.nn.Conv1d if dims == 1 else torch.nn.Conv2d
    ours: Any = getattr(freqops, f"{name}{dims}d")
    parameters = inspect.signature(torchs).parameters.values()
    in_order = {p.name: p.default for p in parameters}
    options = {"FFTConv": {"algorithm": None}, "BandLimitedConv": {"band": None}}[name]
    check(ours, (in_order, options))
    arguments = (4, 6, 3)
    state = {key: p.shape for key, p in torchs(*arguments).state_dict().items()}
    assert {key: p.shape for key, p in ours(*arguments).state_dict().items()} == state


def test_spectral_conv_parameters() -> None:
    """Checkpoints depend on these names and shapes."""
    layer = freqops.SpectralConv2d(3, 4, (6, 8))
    state = {name: tuple(p.shape) for name, p in layer.state_dict().items()}
    assert state == {"weight": (3, 4, 6, 5, 2), "bias": (4,)}


def test_diff_stride() -> None:
    """Checkpoints depend on the parameter's name and shape."""
    options = {"shared": False, "cropping": True}
    check(freqops.DiffStride2d, ({**required("stride"), "smoothness": 4.0}, options))
    for shared, shape in ((False, (2,)), (True, (1,))):
        state = freqops.DiffStride2d(2.0, shared=shared).state_dict()
        assert {key: tuple(stride.shape) for key, stride in state.items()} == {"stride": shape}


@pytest.mark.parametrize("name", ["LowPass2d", "HighPass2d", "LowPass1d", "HighPass1d"])
def test_fixed_filter_has_no_state(name: str) -> None:
    """A module without learnable parts adds no key: checkpoints load as before it was put in."""
    assert not getattr(freqops, name)(0.25).state_dict()


def test_sweep() -> None:
    check(evaluation.sweep, SWEEP)
    for name in ("save", "load", "plot", "table"):
        assert callable(getattr(evaluation.SweepResult, name))
    assert "records" in {*evaluation.SweepResult.__annotations__, *dir(evaluation.SweepResult)}


def test_antialias() -> None:
    check(freqops.antialias, ANTIALIAS)
    for name in ("__iter__", "__str__", "cost", "undo"):
        assert callable(getattr(freqops.Conversion, name))


def test_accelerate() -> None:
    check(freqops.accelerate, ACCELERATE)
    check(freqops.band_limit, BAND_LIMIT)


def test_explain() -> None:
    parameters = list(inspect.signature(freqops.explain).parameters.values())
    assert [(p.name, p.kind) for p in parameters[:2]] == [
        ("op", inspect.Parameter.POSITIONAL_OR_KEYWORD),
        ("args", inspect.Parameter.VAR_POSITIONAL),
    ]


def test_every_public_name_is_there_and_documented() -> None:
    for name in freqops.__all__:
        if not name.startswith("__"):
            assert getattr(freqops, name).__doc__, name


def test_names_not_listed_are_private() -> None:
    modules = {
        "explain",
        "filters",
        "ops",
        "reference",
        "evaluation",
        "surgery",
        "plots",
        "report",
        "cli",
        "arguments",
        "bench",
        "demo",
    }
    extra = {name for name in vars(freqops) if not name.startswith("_")} - set(freqops.__all__)
    assert extra <= modules | {"importlib", "Any", "TYPE_CHECKING"}
