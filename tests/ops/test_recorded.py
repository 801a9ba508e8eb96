"""Outputs and gradients recorded from public implementations (tests/data), a second witness."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ops.cases import placed
from torch import Tensor

import freqops

pytestmark = pytest.mark.usefixtures("device")

DATA = Path(__file__).parents[1] / "data"


def cases(name: str) -> Iterator[Any]:
    """Each case of a file: its meta and arrays, read when the test runs."""
    with np.load(DATA / f"{name}.npz") as file:
        for key in file.files:
            if key.endswith("_meta"):
                prefix = key.removesuffix("meta")
                meta = json.loads(str(file[key]))
                arrays = {
                    other.removeprefix(prefix): torch.from_numpy(file[other])
                    for other in file.files
                    if other.startswith(prefix) and other != key
                }
                yield pytest.param(meta, arrays, id=prefix.rstrip("_"))


def error(actual: Tensor, expected: Tensor) -> float:
    return float((actual - expected).abs().max() / expected.abs().max())


@pytest.mark.parametrize(("meta", "arrays"), list(cases("hfc")))
def test_hfc(meta: dict[str, Any], arrays: dict[str, Tensor]) -> None:
    arrays = placed(arrays)
    if "GrayScale" in meta["function"]:
        x = arrays["x"].double().reshape(-1, 28, 28)
        low, _ = freqops.low_high2d(x, meta["r"], unit="bins")
        assert error(low.flatten(1), arrays["y_low"]) < 1e-12
        return
    height, width = arrays["x"].shape[1:3]
    if height != width or height % 2:
        pytest.skip(
            f"recorded defect: at {height} x {width} the mask's centre, rows/2 for both axes, is "
            "not the DC bin"
        )
    x = arrays["x"].double().permute(0, 3, 1, 2)
    low, high = freqops.low_high2d(x, meta["r"], unit="bins")
    assert error(low.permute(0, 2, 3, 1), arrays["y_low"]) < 1e-12
    assert error(high.permute(0, 2, 3, 1), arrays["y_high"]) < 1e-12
    response = freqops.filters.low_pass((height, width), meta["r"], unit="bins")
    half = torch.fft.ifftshift(arrays["mask"])[:, : width // 2 + 1]
    assert torch.equal(response, half.float())


@pytest.mark.parametrize(("meta", "arrays"), list(cases("apr_p")))
def test_apr_p(meta: dict[str, Any], arrays: dict[str, Tensor]) -> None:
    arrays = placed(arrays)
    assert meta["fft_dims"] == [1, 2, 3]
    for dtype in (torch.float32, torch.float64):
        x = arrays["x"].to(dtype, copy=True).requires_grad_()
        y = freqops.mix_amplitude_phase2d(x[arrays["perm"]], x, over_channels=True)
        y.backward(arrays["gy"].to(dtype))
        assert x.grad is not None
        assert error(y.detach(), arrays["y"]) < 2e-5
        assert error(x.grad, arrays["gx"]) < 2e-5


@pytest.mark.parametrize(("meta", "arrays"), list(cases("apr_s")))
def test_apr_s(meta: dict[str, Any], arrays: dict[str, Tensor]) -> None:
    """y_real, the inverse transform before the cast: y itself wraps modulo 256, a defect."""
    arrays = placed(arrays)
    if meta["branch"] == "noop":
        pytest.skip("this case returned its input")
    x, other = (arrays[name].double().permute(2, 0, 1) for name in ("x", "x_aug"))
    pair = (x, other) if meta["branch"] == "amp_of_x" else (other, x)
    y = freqops.mix_amplitude_phase2d(*pair, over_channels=True)
    assert float((y.permute(1, 2, 0) - arrays["y_real"]).abs().max()) < 1e-9


@pytest.mark.parametrize(("meta", "arrays"), list(cases("gfnet_globalfilter")))
def test_gfnet(meta: dict[str, Any], arrays: dict[str, Tensor]) -> None:
    """Tokens [B, a b, C] and weight [a, b//2+1, C, 2] there; images and [C, a, b//2+1, 2] here."""
    arrays = placed(arrays)
    size = meta["grid"]

    def image(tokens: Tensor) -> Tensor:
        return tokens.transpose(1, 2).unflatten(2, size)

    layer = freqops.GlobalFilter2d(meta["kwargs"]["dim"], size)
    with torch.no_grad():
        layer.weight.copy_(arrays["complex_weight"].permute(2, 0, 1, 3))
    x = image(arrays["x"]).requires_grad_()
    y = layer(x)
    y.backward(image(arrays["gy"]))
    assert x.grad is not None
    assert layer.weight.grad is not None
    assert error(y.detach(), image(arrays["y"])) < 1e-5
    assert error(x.grad, image(arrays["gx"])) < 1e-5
    assert error(layer.weight.grad, arrays["gw"].permute(2, 0, 1, 3)) < 1e-5


# --- pooling ------------------------------------------------------------------------------------


def assert_recorded(
    function: Any, arrays: dict[str, Tensor], bound: float = 0.0, **others: str
) -> None:
    """The output and the gradients recorded; bound 0 is bit by bit.

    Args:
        function: of x, and of the arrays named by ``others``.
        arrays: of the case.
        bound: largest error over the largest magnitude.
        others: name of another differentiable argument, and of its recorded gradient.
    """
    x = arrays["x"].clone().requires_grad_()
    more = {name: arrays[name].clone().requires_grad_() for name in others}
    y = function(x, **more)
    y.backward(arrays["gy"])
    pairs = [(y.detach(), arrays["y"]), (x.grad, arrays["gx"])]
    pairs += [(more[name].grad, arrays[gradient]) for name, gradient in others.items()]
    for actual, expected in pairs:
        assert actual is not None
        assert actual.shape == expected.shape
        if bound:
            assert error(actual, expected) <= bound
        else:
            assert torch.equal(actual, expected)


MODES = {"zero": "zeros", "constant": "zeros"}


def adobe_arguments(kwargs: dict[str, Any]) -> dict[str, Any]:
    count, offset = kwargs["filt_size"], kwargs["pad_off"]
    ends = (count - 1) // 2 + offset, count // 2 + offset
    return {
        "taps": count,
        "stride": kwargs["stride"],
        "padding": ends if offset else None,
        "padding_mode": MODES.get(kwargs["pad_type"], kwargs["pad_type"]),
    }


@pytest.mark.parametrize(("meta", "arrays"), list(cases("blurpool_adobe")))
def test_blurpool_adobe(meta: dict[str, Any], arrays: dict[str, Tensor]) -> None:
    arguments = adobe_arguments(meta["kwargs"])
    assert_recorded(lambda x: freqops.blur_pool2d(x, **arguments), placed(arrays))


@pytest.mark.parametrize(("meta", "arrays"), list(cases("blurpool1d_adobe")))
def test_blurpool1d_adobe(meta: dict[str, Any], arrays: dict[str, Tensor]) -> None:
    arguments = adobe_arguments(meta["kwargs"])
    assert_recorded(lambda x: freqops.blur_pool1d(x, **arguments), placed(arrays))


@pytest.mark.parametrize(("meta", "arrays"), list(cases("maxblurpool_adobe")))
def test_maxblurpool_adobe(meta: dict[str, Any], arrays: dict[str, Tensor]) -> None:
    blur = meta["blurpool"]
    arguments = {"taps": blur["filt_size"], "padding_mode": blur["pad_type"]}

    def pooled(x: Tensor) -> Tensor:
        if meta["blur_before_max"]:
            x = freqops.blur_pool2d(x, stride=blur["stride"], **arguments)
        return freqops.max_blur_pool2d(
            x,
            meta["maxpool"]["kernel_size"],
            stride=blur["stride"],
            max_padding=meta["maxpool"]["padding"],
            **arguments,
        )

    assert_recorded(pooled, placed(arrays))


@pytest.mark.parametrize(("meta", "arrays"), list(cases("blurpool_kornia")))
def test_blurpool_kornia(meta: dict[str, Any], arrays: dict[str, Tensor]) -> None:
    if meta["op"] == "edge":
        pytest.skip("another op: a blur that leaves edges out, and does not downsample")
    kwargs = meta["kwargs"]
    arguments = {
        "taps": kwargs["kernel_size"],
        "stride": kwargs["stride"],
        "padding_mode": "zeros",
    }
    if meta["op"] == "blur":
        assert_recorded(lambda x: freqops.blur_pool2d(x, **arguments), placed(arrays))
    else:
        window = kwargs["max_pool_size"]
        assert_recorded(lambda x: freqops.max_blur_pool2d(x, window, **arguments), placed(arrays))


@pytest.mark.parametrize(("meta", "arrays"), list(cases("blurpool_timm")))
def test_blurpool_timm(meta: dict[str, Any], arrays: dict[str, Tensor]) -> None:
    """timm pads both ends alike, by an amount that grows with the stride."""
    kwargs = meta["kwargs"]
    count, stride, mode = kwargs["filt_size"], kwargs["stride"], kwargs["pad_mode"]
    padding = (stride - 1 + count - 1) // 2

    def pooled(x: Tensor) -> Tensor:
        mode_here = MODES.get(mode, mode)
        return freqops.blur_pool2d(x, count, stride, padding=padding, padding_mode=mode_here)

    assert_recorded(pooled, placed(arrays))


@pytest.mark.parametrize(("meta", "arrays"), list(cases("aps_pool")))
def test_aps_pool(meta: dict[str, Any], arrays: dict[str, Tensor]) -> None:
    arrays = placed(arrays)
    kwargs = meta["kwargs"]
    given = arrays["poly_index"] if "supplied by the caller" in meta["notes"] else None
    criterion = kwargs["apspool_criterion"].replace("l_infty", "linf")
    mode = MODES.get(kwargs["pad_type"], kwargs["pad_type"])

    def pooled(x: Tensor) -> Tensor:
        y, index = freqops.polyphase_pool2d(
            x, kwargs["filt_size"], criterion=criterion, padding_mode=mode, index=given
        )
        assert torch.equal(index, arrays["poly_index"])
        return y

    assert_recorded(pooled, arrays, 1e-12)


@pytest.mark.parametrize(("meta", "arrays"), list(cases("aps_unet")))
def test_aps_unet(meta: dict[str, Any], arrays: dict[str, Tensor]) -> None:
    arrays = placed(arrays)
    kwargs = meta["kwargs"]
    taps, mode = kwargs["filt_size"], kwargs["pad_type"]

    def down(x: Tensor) -> Tensor:
        y, index = freqops.polyphase_pool2d(
            x, taps, criterion=kwargs["apspool_criterion"], padding_mode=mode
        )
        assert torch.equal(index, arrays["poly_index"])
        return y

    def up(y: Tensor) -> Tensor:
        """Recorded defect: odd inputs grow first, by a copy of the first row or column."""
        y = torch.cat([y, y[..., : y.shape[-2] % 2, :]], -2)
        y = torch.cat([y, y[..., : y.shape[-1] % 2]], -1)
        size = [2 * side for side in y.shape[-2:]]
        index = arrays["poly_index"]
        return freqops.polyphase_unpool2d(y, index, size, taps, padding_mode=mode)

    assert_recorded(down, arrays, 1e-12)
    back = {"x": arrays["y"], "y": arrays["up_y"], "gy": arrays["up_gy"], "gx": arrays["up_gx"]}
    assert_recorded(up, back, 1e-12)


def upfirdn_arguments(meta: dict[str, Any], taps: int) -> dict[str, Any]:
    """The wrappers' own padding and gain, in terms of upfirdn2d."""
    kwargs = dict(meta["kwargs"])
    if meta["fn"] == "upfirdn2d":
        return kwargs
    padding, gain = kwargs.pop("padding", 0), kwargs.pop("gain", 1)
    x, y = (padding, padding) if isinstance(padding, int) else padding
    factor = kwargs.get("up", kwargs.get("down", 1))
    ends = {
        "filter2d": (taps // 2, (taps - 1) // 2),
        "upsample2d": ((taps + factor - 1) // 2, (taps - factor) // 2),
        "downsample2d": ((taps - factor + 1) // 2, (taps - factor) // 2),
    }[meta["fn"]]
    padding = [x + ends[0], x + ends[1], y + ends[0], y + ends[1]]
    return {
        **kwargs,
        "padding": padding,
        "gain": gain * (factor**2 if meta["fn"] == "upsample2d" else 1),
    }


@pytest.mark.parametrize(("meta", "arrays"), list(cases("upfirdn2d")))
def test_upfirdn2d(meta: dict[str, Any], arrays: dict[str, Tensor]) -> None:
    arrays = placed(arrays)
    f = arrays.get("f")
    arguments = upfirdn_arguments(meta, 1 if f is None else f.shape[-1])
    assert_recorded(lambda x: freqops.upfirdn2d(x, f, **arguments), arrays, 1e-6)
    if f is not None and f.dim() == 2 and torch.linalg.matrix_rank(f.double()) == 1:
        # The same filter as one per axis: by the fused kernels instead of torch's convolution.
        row = int(f.abs().sum(1).argmax())
        across = f[row].double()
        along = f.double() @ across / across.square().sum()
        assert_recorded(lambda x: freqops.upfirdn2d(x, (across, along), **arguments), arrays, 1e-6)


@pytest.mark.parametrize(("meta", "arrays"), list(cases("filtered_lrelu")))
def test_filtered_lrelu(meta: dict[str, Any], arrays: dict[str, Tensor]) -> None:
    arrays = placed(arrays)
    filters = {name: arrays.get(name) for name in ("fu", "fd")}
    others = {"b": "gb"} if "b" in arrays else {}

    def bent(x: Tensor, b: Tensor | None = None) -> Tensor:
        return freqops.filtered_leaky_relu2d(x, **filters, bias=b, **meta["kwargs"])

    assert_recorded(bent, arrays, 1e-6, **others)


# --- pooling by the spectrum --------------------------------------------------------------------


@pytest.mark.parametrize(("meta", "arrays"), list(cases("flc_pooling")))
def test_flc_pooling(meta: dict[str, Any], arrays: dict[str, Tensor]) -> None:
    if 2 in meta["mod4"]:
        pytest.skip(
            f"recorded defect: of {meta['HW']} samples the crop is not centred, and every "
            "frequency comes out one bin too high"
        )
    assert_recorded(freqops.flc_pool2d, placed(arrays), 1e-12)


@pytest.mark.parametrize(("meta", "arrays"), list(cases("flc_pooling")))
def test_flc_pooling_sizes(meta: dict[str, Any], arrays: dict[str, Tensor]) -> None:
    """Those of the defect as well."""
    assert freqops.flc_pool2d(arrays["x"]).shape == arrays["y"].shape


@pytest.mark.parametrize(("meta", "arrays"), list(cases("spectral_pool_rippel")))
def test_spectral_pool_rippel(meta: dict[str, Any], arrays: dict[str, Tensor]) -> None:
    if "mask" in arrays:
        pytest.skip("another op: a mask over the spectrum, and no resampling")
    size = meta["filter_size"]
    if size == arrays["x"].shape[-1] and size % 2 == 0:
        pytest.skip("recorded defect: at the same even size the Nyquist bin is scaled by sqrt 2")
    arrays = placed(arrays)
    for dtype in (torch.float32, torch.float64):
        exact = {name: value.to(dtype) for name, value in arrays.items()}
        assert_recorded(
            lambda x: freqops.spectral_pool2d(x, size, nyquist="ortho", norm="backward"),
            exact,
            1e-5,
        )


@pytest.mark.parametrize(("meta", "arrays"), list(cases("spectral_pool_hartley")))
def test_spectral_pool_hartley(meta: dict[str, Any], arrays: dict[str, Tensor]) -> None:
    """Equal for odd outputs, and where nothing is cropped.

    By definition it is another map where an output is even and smaller: there the Hartley transform
    has one bin, -N/2, that mixes real and imaginary parts, and no rule for the spectrum gives that.
    All other bins of such outputs are equal.
    """
    arrays = placed(arrays)

    def pooled(x: Tensor) -> Tensor:
        return freqops.spectral_pool2d(x, scale_factor=meta["scale_factor"], norm="ortho")

    sizes, targets = arrays["x"].shape[-2:], arrays["y"].shape[-2:]
    mixed = [n % 2 == 0 and n < size for size, n in zip(sizes, targets, strict=True)]
    if not any(mixed):
        assert_recorded(pooled, arrays, 1e-12)
        return
    y = pooled(arrays["x"])
    assert y.shape == arrays["y"].shape
    assert error(y, arrays["y"]) > 1e-3
    difference = torch.fft.fft2(y - arrays["y"])
    for axis, (even, n) in enumerate(zip(mixed, targets, strict=True)):
        if even:
            difference.select(axis - 2, n // 2).zero_()
    assert float(difference.abs().max()) < 1e-12 * float(torch.fft.fft2(y).abs().max())


@pytest.mark.parametrize(("meta", "arrays"), list(cases("fourier_resample_scipy")))
def test_fourier_resample_scipy(meta: dict[str, Any], arrays: dict[str, Tensor]) -> None:
    arrays = placed(arrays)
    y = freqops.spectral_pool2d(arrays["x"], meta["out_size"], nyquist="sum")
    assert y.shape == arrays["y"].shape
    assert error(y, arrays["y"]) < 1e-12
    rows = freqops.spectral_pool1d(arrays["x"].mT, meta["out_size"][0], nyquist="sum").mT
    y = freqops.spectral_pool1d(rows, meta["out_size"][1], nyquist="sum")
    assert error(y, arrays["y"]) < 1e-12


# --- convolutions -------------------------------------------------------------------------------


def assert_convolution(function: Any, arrays: dict[str, Tensor], bound: float) -> None:
    """Output and gradients of ``function(x, w, b)``, for a recording with a bias or without."""
    others = {"w": "gw", "b": "gb"} if "b" in arrays else {"w": "gw"}

    def convolved(x: Tensor, w: Tensor, b: Tensor | None = None) -> Tensor:
        return function(x, w, b)  # type: ignore[no-any-return]

    assert_recorded(convolved, arrays, bound, **others)


@pytest.mark.parametrize("algorithm", ["fft", "direct"])
@pytest.mark.parametrize(("meta", "arrays"), list(cases("fft_conv")))
def test_fft_conv(meta: dict[str, Any], arrays: dict[str, Tensor], algorithm: str) -> None:
    kwargs = dict(meta["kwargs"])
    mode = kwargs.pop("padding_mode", "zeros")
    ends: list[int] = []
    if mode != "zeros":
        ends = [kwargs.pop("padding")] * 4

    def convolved(x: Tensor, w: Tensor, b: Tensor | None) -> Tensor:
        if ends:
            x = torch.nn.functional.pad(x, ends, mode=mode)
        return freqops.fft_conv2d(x, w, b, **kwargs, algorithm=algorithm)

    assert_convolution(convolved, placed(arrays), 2e-5)


def recorded_band(kept: int, halves: int) -> int:
    """Theirs keeps so many frequencies of an axis; ours says the highest index."""
    return min(kept, halves) - 1


def band_by_half_energy(x: Tensor, grid: tuple[int, ...], percent: float) -> int:
    """As recorded: of the half spectrum's energy, without what its mirror image has."""
    axes = tuple(range(-len(grid), 0))
    power = torch.fft.rfftn(x, s=grid, dim=axes).abs().square().flatten(0, 1).sum(0)
    halves = power.shape[-1]
    for keep in range(1, halves + 1):
        kept = power[..., :keep]
        if len(grid) == 2 and keep < halves:
            kept = torch.cat([kept[:keep], kept[-keep + 1 :] if keep > 1 else kept[:0]])
        if float(kept.sum()) >= percent / 100 * float(power.sum()):
            return recorded_band(keep, halves)
    return halves - 1


def recorded_grid(length: int, pow2: bool) -> int:
    return 1 << (length - 1).bit_length() if pow2 else length


@pytest.mark.parametrize(("meta", "arrays"), list(cases("bandlimited_conv2d")))
def test_bandlimited_conv2d(meta: dict[str, Any], arrays: dict[str, Tensor]) -> None:
    if meta["out_size"] is not None or meta["stride_type"] == "SPECTRAL":
        pytest.skip("recorded defect: the top left corner of the result instead of a resampled one")
    arrays = placed(arrays)
    size, taps, padding = arrays["x"].shape[-1], arrays["w"].shape[-1], meta["padding"]
    output = size + 2 * padding - taps + 1
    side = recorded_grid(size + 2 * padding + max(output, taps) - 1, meta["next_power2"])
    halves = side // 2 + 1
    band = recorded_band(int(halves * ((100 - meta["compress_rate"]) / 100) ** 0.5), halves)
    if meta["preserve_energy"] < 100:
        band = band_by_half_energy(arrays["x"], (side, side), meta["preserve_energy"])

    def convolved(x: Tensor, w: Tensor, b: Tensor | None) -> Tensor:
        numbers = (meta["stride"], padding)
        return freqops.band_limited_conv2d(x, w, b, *numbers, band=band, fft_size=side)

    assert_convolution(convolved, arrays, 1e-11)
    if meta["preserve_energy"] == 100:  # the same cut by its share of the area
        share = meta["compress_rate"] / 100
        y = freqops.band_limited_conv2d(
            *(arrays[name] for name in "xwb"),
            meta["stride"],
            padding,
            compression=share,
            fft_size=side,
        )
        assert error(y, arrays["y"]) < 1e-11


@pytest.mark.parametrize(("meta", "arrays"), list(cases("bandlimited_conv1d")))
def test_bandlimited_conv1d(meta: dict[str, Any], arrays: dict[str, Tensor]) -> None:
    if meta["compress_type"] in ("BIG_COEFF", "LOW_COEFF"):
        pytest.skip("another op: each row of the batch keeps coefficients of its own")
    if meta["stride"] > 1:
        pytest.skip("recorded defect: the gradient is not spread over the stride")
    arrays = placed(arrays)
    size, taps, padding = arrays["x"].shape[-1], arrays["w"].shape[-1], meta["padding"]
    output = size + 2 * padding - taps + 1
    length = size + 2 * padding + 2 * max(taps - 1, output - 1)
    side = recorded_grid(length, meta["next_power2"])
    halves, band = side // 2 + 1, side // 2
    # NO_FILTER is a recorded defect, in that it cuts nothing whatever the rate; its values hold.
    if meta["compress_rate"] and meta["compress_type"] == "STANDARD":
        cut = min(halves - 1, int(halves * meta["compress_rate"] / 100) + 1)
        band = recorded_band(halves - cut, halves)
    elif meta["preserve_energy"] < 100:
        band = band_by_half_energy(arrays["x"], (side,), meta["preserve_energy"])

    def convolved(x: Tensor, w: Tensor, b: Tensor | None) -> Tensor:
        return freqops.band_limited_conv1d(x, w, b, 1, padding, band=band, fft_size=side)

    assert_convolution(convolved, arrays, 1e-11)


@pytest.mark.parametrize(("meta", "arrays"), list(cases("fno_spectralconv")))
def test_fno_spectralconv(meta: dict[str, Any], arrays: dict[str, Tensor]) -> None:
    """Weights complex there; a diagonal of matrices where separable; lines as images of one row."""
    kwargs = meta["kwargs"]
    if "resolution_scaling_factor" in kwargs:
        pytest.skip(
            "recorded defect: another size is made at the end of the axes, not in the middle"
        )
    arrays = placed(arrays)
    modes, lines = list(kwargs["n_modes"]), len(kwargs["n_modes"]) == 1
    shape = arrays["y"].shape
    if lines:
        modes = [1, *modes]
        moved = ("x", "y", "gx", "gy")
        arrays |= {name: arrays[name].unsqueeze(-2) for name in moved}
        arrays |= {name: arrays[name].unsqueeze(-2) for name in ("w", "gw")}
    arrays["w"], arrays["gw"] = (torch.view_as_real(arrays[name]) for name in ("w", "gw"))
    if "b" in arrays:
        arrays["b"], arrays["gb"] = arrays["b"].flatten(), arrays["gb"].flatten()

    def mixed(x: Tensor, w: Tensor, b: Tensor | None) -> Tensor:
        if kwargs.get("separable"):
            w = torch.eye(w.shape[0])[..., None, None, None] * w
        return freqops.spectral_conv2d(x, w, b, modes=modes)

    assert_convolution(mixed, arrays, 2e-5)
    assert len(shape) == 4 - lines


@pytest.mark.parametrize(("meta", "arrays"), list(cases("coconv")))
def test_coconv(meta: dict[str, Any], arrays: dict[str, Tensor]) -> None:
    """Convolutions of several dilations side by side, padded as far as they reach."""
    arrays = placed(arrays)
    kernels = {key: arrays[key] for key in sorted(arrays) if key.startswith("w_")}
    dilations = meta["kwargs"].get("coconv_dilations", range(1, len(kernels) + 1))
    numbers = {name: meta["kwargs"].get(name, 1) for name in ("stride", "groups")}
    names = {key: f"g_{key[2:]}" for key in kernels}

    def convolved(x: Tensor, **weights: Tensor) -> Tensor:
        return torch.cat(
            [
                freqops.fft_conv2d(x, w, padding=d, dilation=d, algorithm="fft", **numbers)
                for w, d in zip(weights.values(), dilations, strict=True)
            ],
            1,
        )

    assert_recorded(convolved, arrays, 1e-11, **names)


@pytest.mark.parametrize(("meta", "arrays"), list(cases("unireplknet_reparam")))
def test_unireplknet(meta: dict[str, Any], arrays: dict[str, Tensor]) -> None:
    """The merged large kernel (recorded in float32), and its branches one by one."""
    arrays = placed(arrays)
    state = {key[3:].replace("__", "."): value for key, value in arrays.items() if key[:3] == "sd_"}

    def scaled(name: str) -> tuple[Tensor, Tensor]:
        spread = (state[f"{name}.running_var"] + meta["bn_eps"]).sqrt()
        gain = state[f"{name}.weight"] / spread
        return gain, state[f"{name}.bias"] - gain * state[f"{name}.running_mean"]

    def branch(x: Tensor, kernel: Tensor, norm: str, dilation: int) -> Tensor:
        gain, offset = scaled(norm)
        padding = dilation * (kernel.shape[-1] - 1) // 2
        return freqops.fft_conv2d(
            x,
            kernel * gain[:, None, None, None],
            offset,
            1,
            padding,
            dilation,
            meta["channels"],
            algorithm="fft",
        )

    def block(x: Tensor) -> Tensor:
        y = branch(x, state["lk_origin.weight"], "origin_bn", 1)
        for taps, dilation in zip(meta["kernel_sizes"], meta["dilates"], strict=True):
            name = f"k{taps}_{dilation}"
            y = y + branch(x, state[f"dil_conv_{name}.weight"], f"dil_bn_{name}", dilation)
        return y

    def merged(x: Tensor) -> Tensor:
        kernel, bias = (arrays[name].double() for name in ("w_merged", "b_merged"))
        numbers = (1, "same", 1, meta["channels"])
        return freqops.fft_conv2d(x, kernel, bias, *numbers, algorithm="fft")

    assert_recorded(block, arrays, 1e-11)
    assert_recorded(merged, arrays, 1e-6)
