"""What each pooling layer does to frequencies, measured by sending waves through the layers.

    python examples/pooling_responses.py --out pooled

writes `pooling_responses.json`, `pooling_responses.png`, `pooling_zone_plate.png` and `table.md`,
the table of docs/pooling.md. No formula of a layer is used: every number is read off outputs.

Waves run along the rows of a map, with a whole number of periods, at several phases; blurs pad
circularly, so that no border plays a part. The gain of a frequency below 0.25 cycles per pixel,
which half the samples can hold, is the share of its amplitude that comes out as the same wave. What
comes out of higher ones is false: aliasing, and its energy is compared with the wave's. A maximum
is no linear layer: its gain is that of a pure wave (its describing function, which doesn't depend
on the wave's amplitude, as max(a x) = a max(x)), and the waves it makes of one below 0.25 are not
counted.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from pooling_figures import Pictures, responses_figure, zone_plate_figure
from torch import Tensor

import freqops
from freqops import demo, filters
from freqops.plots import save_figure

Layer = Callable[[Tensor], Tensor]
PHASES = 16
NOTHING = 1e-12  # energy from here on is rounding: -120 dB
KAISER_TAPS = 12
#: Around the table in a page.
FIRST = "<!-- benchmarks: pooling-responses -->"
LAST = "<!-- end of benchmarks: pooling-responses -->"


class Pool(NamedTuple):
    """A layer that halves maps.

    Attributes:
        call: in code, for tables.
        circular: as it is measured; borders wrap around.
        natural: as it is used, borders included.
        cost: (table, label) of its row in the benchmarks' results, as they begin.
    """

    call: str
    circular: Layer
    natural: Layer
    cost: tuple[str, str] | None = None


SIZE = "16x64x112x112"


def _blur(taps: int) -> Pool:
    return Pool(
        f"`blur_pool2d(x, {taps})`",
        lambda x: freqops.blur_pool2d(x, taps, padding_mode="circular"),
        lambda x: freqops.blur_pool2d(x, taps),
        ("blur_pool2d, float32, NCHW, forward", f"{SIZE} {taps} taps"),
    )


def _alone(call: str, layer: Layer, cost: tuple[str, str] | None = None) -> Pool:
    return Pool(f"`{call}`", layer, layer, cost)


def _kaiser(x: Tensor, mode: str) -> Tensor:
    taps = filters.kaiser_taps(KAISER_TAPS, 0.25).to(x.dtype)
    before = (KAISER_TAPS - 1) // 2
    padding = (before, KAISER_TAPS - 1 - before) * 2
    return freqops.upfirdn2d(F.pad(x, padding, mode=mode), taps, down=2)


def _spectral(nyquist: str, window: str | None = None) -> Layer:
    return lambda x: freqops.spectral_pool2d(x, nyquist=nyquist, window=window)  # type: ignore[arg-type]


def _spectral_cost(name: str) -> tuple[str, str]:
    return f"{name}, float32, NCHW, forward", f"{SIZE} "


POOLS = {
    "stride 2": _alone("x[..., ::2, ::2]", lambda x: x[..., ::2, ::2]),
    "max 2x2": _alone("max_pool2d(x, 2)", lambda x: F.max_pool2d(x, 2)),
    "average 2x2": _alone("avg_pool2d(x, 2)", lambda x: F.avg_pool2d(x, 2)),
    "blur, 3 taps": _blur(3),
    "blur, 4 taps": _blur(4),
    "blur, 5 taps": _blur(5),
    "blur, 7 taps": _blur(7),
    "max and blur, 3 taps": Pool(
        "`max_blur_pool2d(x, 2, 3)`",
        lambda x: freqops.max_blur_pool2d(
            F.pad(x, (0, 1, 0, 1), mode="circular"), 2, 3, padding_mode="circular"
        ),
        lambda x: freqops.max_blur_pool2d(x, 2, 3),
        ("max_blur_pool2d, 2x2, float32, NCHW, forward", f"{SIZE} 3 taps"),
    ),
    f"Kaiser, {KAISER_TAPS} taps": Pool(
        f"`upfirdn2d(x, kaiser_taps({KAISER_TAPS}, 0.25), down=2)`",
        lambda x: _kaiser(x, "circular"),
        lambda x: _kaiser(x, "reflect"),
    ),
    "FLC": _alone("flc_pool2d(x)", freqops.flc_pool2d, _spectral_cost("flc_pool2d")),
    "spectral, half": _alone(
        "spectral_pool2d(x)", _spectral("half"), _spectral_cost('spectral_pool2d, nyquist="half"')
    ),
    "spectral, sum": _alone('spectral_pool2d(x, nyquist="sum")', _spectral("sum")),
    "spectral, zero": _alone('spectral_pool2d(x, nyquist="zero")', _spectral("zero")),
    "spectral, Hamming": _alone(
        'spectral_pool2d(x, window="hamming")', _spectral("half", "hamming")
    ),
}


# --- waves ----------------------------------------------------------------------------------------


def waves(size: int, frequency: int, phases: int) -> Tensor:
    """Returns cosines along the rows [phases, 1, size, size], float64, `frequency` periods."""
    position = torch.arange(size, dtype=torch.float64) / size
    phase = torch.arange(phases, dtype=torch.float64)[:, None] / phases
    lines = torch.cos(2 * math.pi * (frequency * position + phase))
    return lines[:, None, None].expand(-1, 1, size, -1).contiguous()


def response(layer: Layer, size: int, phases: int = PHASES) -> tuple[list[float], list[float]]:
    """Returns (gain of each frequency below 0.25, energy of what comes out of each above).

    Args:
        layer: on maps [N, 1, size, size].
        size: of the maps: frequencies are k / size. A multiple of 4.
        phases: of each wave.
    """
    gains, false = [], []
    for frequency in range(1, size // 2 + 1):
        x = waves(size, frequency, phases)
        y = layer(x)[:, 0].mean(1)  # all rows are the same
        if frequency < size // 4:
            same = torch.fft.rfft(y, norm="forward")[:, frequency]
            gains.append(float(2 * same.abs().mean()))
        elif frequency > size // 4:
            # Against the mean over all phases, which is zero, but a maximum's is not.
            false.append(float((y - y.mean()).square().mean() / x.square().mean()))
    return gains, false


def at_nyquist(layer: Layer, size: int) -> float:
    """Returns the root of the energy that comes out of the wave of 0.25 cycles per pixel."""
    x = waves(size, size // 4, PHASES)
    y = layer(x)
    return float((y - y.mean()).square().mean().sqrt() / x.square().mean().sqrt())


def half_power(gains: Sequence[float], size: int) -> float | None:
    """Returns where the gain falls below -3 dB, between two frequencies; None if it doesn't."""
    limit, last = math.sqrt(0.5), 1.0
    for k, gain in enumerate(gains, 1):
        if gain < limit:
            return (k - 1 + (last - limit) / (last - gain)) / size
        last = gain
    return None


# --- edges, borders, shifts -----------------------------------------------------------------------


def edge(layer: Layer, size: int, at: int) -> Tensor:
    """Returns what becomes of an edge from 0 to 1 before column `at`: a row of the output."""
    x = torch.zeros(1, 1, size, size, dtype=torch.float64)
    x[..., at:] = 1
    return layer(x)[0, 0, size // 4]


def overshoot(layer: Layer, size: int) -> float:
    """Returns how far beyond 0 and 1 samples near an edge are, at its worst place."""
    rows = [edge(layer, size, size // 2 + offset) for offset in range(4)]
    near = slice(size // 8, 3 * size // 8)  # the border is another matter
    return max(0.0, *(max(float(row[near].max()) - 1, -float(row[near].min())) for row in rows))


def border_error(layer: Layer, size: int) -> float:
    """Returns the largest error of a ramp from 0 to 1 between its borders.

    The samples of a layer may lie half a pixel on: its ramp is that of its samples in the middle.
    """
    x = torch.linspace(0, 1, size, dtype=torch.float64).expand(1, 1, size, size).contiguous()
    y = layer(x)[0, 0, size // 4]
    position = torch.arange(len(y), dtype=y.dtype) - size // 4
    middle = y[size // 8 : 3 * size // 8].mean() + 1 / (size - 1)
    return float((y - middle - 2 / (size - 1) * position).abs().max())


def shift_error(layer: Layer, photographs: Tensor) -> float:
    """Returns how far the samples of a picture that moved by a pixel are from the moved samples.

    Half a sample is between two: the samples are moved in the spectrum, without the Nyquist
    frequency, and compared by energy (the root of its share).

    Args:
        layer: wraps around at the borders.
        photographs: [N, 1, size, size] that continue on the other side.
    """
    y, moved = layer(photographs), layer(photographs.roll(1, -1))
    spectrum = torch.fft.rfft(y)
    k = torch.arange(spectrum.shape[-1], dtype=y.dtype)
    spectrum = spectrum * torch.exp(-1j * math.pi * k / y.shape[-1])
    spectrum[..., -1] = 0
    ideal = torch.fft.irfft(spectrum, y.shape[-1])
    error = (moved - ideal).square().sum() / (y - y.mean((-1, -2), keepdim=True)).square().sum()
    return float(error.sqrt())


def photograph(name: str, top: int, left: int, side: int) -> Tensor:
    """Returns a grey part of a photograph of the demo [1, 1, side, side], float64 in [0, 1]."""
    with Image.open(demo.photographs.FOLDER / f"{name}.png") as picture:
        grey = np.asarray(picture.convert("L"), dtype=np.float64) / 255
    return torch.from_numpy(grey[top : top + side, left : left + side])[None, None]


def continued(x: Tensor) -> Tensor:
    """Returns pictures with their mirror images: twice the size, and continuous around the ends."""
    x = torch.cat([x, x.flip(-1)], -1)
    return torch.cat([x, x.flip(-2)], -2)


# --- all of it ------------------------------------------------------------------------------------


def measured(size: int) -> dict[str, dict[str, Any]]:
    """Returns every layer's numbers; frequencies in cycles per pixel, sizes of `size` pixels."""
    side = min(size // 2, 128)
    names = ("brick", "grass", "gravel", "coffee", "dahlia")
    pictures = torch.cat([continued(photograph(name, 0, 0, side)) for name in names])
    found = {}
    for name, pool in POOLS.items():
        gains, false = response(pool.circular, size)
        rows = {offset: edge(pool.natural, size, size // 2 + offset) for offset in (0, 1)}
        found[name] = {
            "call": pool.call,
            "frequencies": [k / size for k in range(1, size // 4)],
            "gain": gains,
            "gain_at_nyquist": at_nyquist(pool.circular, size),
            "half_power_frequency": half_power(gains, size),
            "aliasing_frequencies": [k / size for k in range(size // 4 + 1, size // 2 + 1)],
            "aliased_energy": false,
            "worst_rejection_db": decibels(max(false)),
            "mean_rejection_db": decibels(sum(false) / len(false)),
            "overshoot": overshoot(pool.natural, size),
            "border_error": border_error(pool.natural, size),
            "shift_error": shift_error(pool.circular, pictures),
            "edge": rows[0].tolist(),
            "edge_half_a_sample_on": rows[1].tolist(),
        }
    return found


def rounded(numbers: Any) -> Any:
    """Returns what is measured with six digits, and rounding as what it is: nothing."""
    if isinstance(numbers, dict):
        return {key: rounded(one) for key, one in numbers.items()}
    if isinstance(numbers, list):
        return [rounded(one) for one in numbers]
    if isinstance(numbers, float):
        return 0.0 if abs(numbers) < NOTHING else float(f"{numbers:.6g}")
    return numbers


def decibels(energy: float) -> float:
    """Of an energy; what is left of rounding counts as -120."""
    return 10 * math.log10(max(energy, NOTHING))


def costs(results: Sequence[Path]) -> dict[str, float]:
    """Returns each layer's time as a multiple of a copy's, from results of the benchmarks."""
    found = {}
    for path in results:
        for row in json.loads(path.read_text()).get("cases", []):
            for name, pool in POOLS.items():
                if pool.cost is not None and _is_row(row, *pool.cost):
                    times = {one["role"]: one["minimum"] for one in row["contenders"]}
                    found[name] = times["ours"] / times["floor"]
    return found


def _is_row(row: dict[str, Any], table: str, label: str) -> bool:
    return bool(row["table"] == table and f"{row['label']} ".startswith(label.rstrip() + " "))


def table(found: dict[str, dict[str, Any]], cost: dict[str, float]) -> str:
    """Returns the numbers as Markdown."""
    head = ["layer", "", "-3 dB at", "gain at 0.25", "aliasing, worst", "mean", "moved by a pixel"]
    head += ["overshoot", "error at the border", "time of a copy"]
    lines = [_line(head), _line(["---", "---"] + ["---:"] * (len(head) - 2))]
    for name, one in found.items():
        half = one["half_power_frequency"]
        cells = [
            name,
            one["call"],
            "none" if half is None else f"{half:.3f}",
            f"{one['gain_at_nyquist']:.2f}",
            _decibels(one["worst_rejection_db"]),
            _decibels(one["mean_rejection_db"]),
            f"{100 * one['shift_error']:.1f} %",
            f"{100 * one['overshoot']:.1f} %",
            f"{100 * one['border_error']:.1f} %",
            f"{cost[name]:.1f}" if name in cost else "",
        ]
        lines.append(_line(cells))
    return "\n".join(lines) + "\n"


def with_table(page: str, words: str) -> str:
    """Returns a page with another table between its marks."""
    before, _, rest = page.partition(FIRST)
    _, _, after = rest.partition(LAST)
    return f"{before}{FIRST}\n\n{words}\n{LAST}{after}"


def _decibels(number: float) -> str:
    return "none" if number < 10 * math.log10(NOTHING) + 10 else f"{number:.1f} dB"


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def zone_plate(size: int) -> Tensor:
    """Returns rings [1, 1, size, size]: from 0 to 0.5 cycles per pixel at the sides' middles."""
    position = torch.arange(size, dtype=torch.float64) - size / 2
    square = position[:, None].square() + position.square()
    return (0.5 + 0.5 * torch.cos(math.pi * square / size))[None, None]


#: In the pictures.
SHOWN = (
    "stride 2",
    "max 2x2",
    "average 2x2",
    "blur, 3 taps",
    "blur, 5 taps",
    "max and blur, 3 taps",
    f"Kaiser, {KAISER_TAPS} taps",
    "FLC",
    "spectral, Hamming",
)


def pictures(side: int) -> Pictures:
    """Returns test pictures and what is left of them after each layer twice."""
    originals = {
        "rings": zone_plate(side),
        "brick wall": photograph("brick", 0, 0, side),
        "coins": photograph("coins", 0, 64, side // 2),
    }
    small = {
        name: [pool.natural(pool.natural(x)) for x in originals.values()]
        for name, pool in POOLS.items()
        if name in SHOWN
    }
    return Pictures(
        tuple(originals),
        tuple(x[0, 0].numpy() for x in originals.values()),
        {name: tuple(x[0, 0].numpy() for x in each) for name, each in small.items()},
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("pooled"), help="where the files go")
    parser.add_argument("--size", type=int, default=256, help="of the maps, a multiple of 16")
    parser.add_argument("--side", type=int, default=240, help="of the pictures, a multiple of 8")
    parser.add_argument("--page", type=Path, help="Markdown whose table is replaced")
    parser.add_argument("--results", type=Path, nargs="*", default=[], help="of the benchmarks")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    found = measured(arguments.size)
    content = {"freqops": freqops.__version__, "size": arguments.size, "layers": rounded(found)}
    (arguments.out / "pooling_responses.json").write_text(json.dumps(content) + "\n")
    words = table(found, costs(arguments.results))
    (arguments.out / "table.md").write_text(words)
    if arguments.page is not None:
        arguments.page.write_text(with_table(arguments.page.read_text(), words))
    shown = {name: found[name] for name in SHOWN}
    save_figure(responses_figure(shown), arguments.out / "pooling_responses.png")
    save_figure(
        zone_plate_figure(pictures(arguments.side)), arguments.out / "pooling_zone_plate.png"
    )
    print(words)


if __name__ == "__main__":
    main()
