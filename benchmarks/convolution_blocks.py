"""The tables of docs/convolution.md."""

from __future__ import annotations

from kept import Kept, Result
from kept_rows import NoSuchRow, row_of

from freqops.bench.tables import accelerated_section, digits, line

# Taps, channels and side of maps.
_KERNELS = (
    (3, 96, 56), (7, 96, 56), (13, 96, 56), (31, 96, 56), (51, 96, 56),
    (7, 192, 28), (13, 192, 28), (31, 192, 28), (7, 384, 14), (13, 384, 14), (25, 384, 14),
)  # fmt: skip
_LAYOUTS = ("NCHW", "NHWC")


def depthwise(kept: Kept) -> str | None:
    """Both ways of fft_conv2d in both layouts, and what it takes as it is called."""
    if kept.crossover is None:
        return None
    found = {}
    for one in kept.crossover["trials"]:
        trial = one["trial"]
        if trial["outputs"] is None:
            found[trial["taps"], trial["channels"], trial["size"], trial["layout"]] = one
    columns = [f"{layout}: {way}" for layout in _LAYOUTS for way in ("torch", "FFT", "as called")]
    lines = [line(["taps, map", *columns]), line(["---"] + ["---:"] * len(columns))]
    for kernel in _KERNELS:
        if missing := [layout for layout in _LAYOUTS if (*kernel, layout) not in found]:
            raise NoSuchRow(f"{kept.crossover['file']} has no trial {kernel}, {missing[0]}")
        taps, channels, side = kernel
        trials = [found[(*kernel, layout)] for layout in _LAYOUTS]
        images = trials[0]["trial"]["images"]
        cells = [cell for one in trials for cell in _ways(one)]
        lines.append(line([f"{taps}x{taps} on {images}x{channels}x{side}x{side}", *cells]))
    environment = kept.crossover["environment"]
    threads = environment["threads"]
    made = (
        f"Milliseconds, float32, forward, {threads} thread{'s' if threads > 1 else ''} of "
        f"{environment['cpu']}, {environment['date']}, load {environment['load']} before: "
        "the least of several calls in turns, the sooner way in bold."
    )
    return "\n".join([*lines, "", made])


def _ways(one: Result) -> list[str]:
    fastest = min(one["direct"], one["fft"])
    return [
        *(f"**{digits(time)}**" if time == fastest else digits(time)
          for time in (one["direct"], one["fft"])),
        digits(one["chosen"]),
    ]  # fmt: skip


# Tables of band-limited convolutions, and their kernels and maps.
_CUTS = (25, 50, 75)
_BAND_LIMITED = (
    ("dense, float32, NCHW, forward", "3x3 on 16x64x56x56 to 64"),
    ("dense, float32, NCHW, forward", "7x7 on 16x64x56x56 to 64"),
    ("depthwise, float32, NCHW, forward", "7x7 on 4x96x56x56"),
    ("dense, float32, NCHW, forward and backward", "3x3 on 2x64x56x56 to 64"),
)


def band_limited(kept: Kept) -> str | None:
    """Convolutions cut to a band, beside torch's of everything."""
    result = kept.suite("convolution", "default")
    if result is None:
        return None
    lines = [line(["", "torch, no cut", *(f"cut by {cut} %" for cut in _CUTS)])]
    lines.append(line(["---"] + ["---:"] * (len(_CUTS) + 1)))
    for words, kernel in _BAND_LIMITED:
        found = []
        for cut in _CUTS:
            row = row_of(result, f"band_limited_conv2d, {words}", f"{kernel}, {cut}% cut")
            found.append({entry["name"]: entry["minimum"] for entry in row["contenders"]})
        cells = [f"{digits(one['freqops'])} ({digits(one['freqops'] / one['torch, no cut'])}x)"
                 for one in found]  # fmt: skip
        whole = min(one["torch, no cut"] for one in found)
        kind = words.replace(", float32, NCHW", "")
        lines.append(line([f"{kind}, {kernel}", digits(whole), *cells]))
    environment = result["environment"]
    made = (
        "Milliseconds, float32, NCHW, the least of several calls in turns, in brackets how many "
        "times torch's convolution in the same rounds, {threads} threads of {cpu}, {date}, load "
        "{load} before."
    ).format(**environment)
    return "\n".join([*lines, "", made])


def accelerated(kept: Kept) -> str | None:
    """Networks with large kernels, before and after."""
    return accelerated_section(kept.accelerated[0]) if kept.accelerated else None
