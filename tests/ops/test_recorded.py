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
