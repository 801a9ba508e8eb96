"""convolutions: what becomes of a convolution that is computed through the frequency domain."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode

import freqops.ops as ops
from freqops.explain import explain
from freqops.surgery.recipes.placement import Placer
from freqops.surgery.recipes.problem import Problem, dtype_of, milliseconds, problem_of
from freqops.surgery.recipes.recipe import Planned
from freqops.surgery.sites.site import Site
from freqops.surgery.steps.convolutions import BandLimitedConv, FFTConv, FrequencyCall
from freqops.surgery.tracing.graph import Call
from freqops.surgery.treatment import Edit, Form

#: Where an FFT is sooner: as freqops predicts, as is measured, or as a predicate of a site says.
Faster: TypeAlias = "str | Callable[[Site], bool]"

_DIRECT = "torch convolution"  # what `explain` calls torch's own


class FrequencyRules:
    """Convolutions become those of another way to compute.

    Args:
        place: knows the devices.
        options: of that way, for modules and functions alike.
        channels_last: the memory format of the model's maps.
    """

    name = ""
    _op = ""
    _module = ""
    _call: type[FrequencyCall]

    def __init__(self, place: Placer, options: Mapping[str, Any], *, channels_last: bool) -> None:
        self._place = place
        self._options = dict(options)
        self._channels_last = channels_last

    def plan_all(self, sites: Sequence[Site]) -> list[Planned | str]:
        """What is to be done about each site, or why nothing."""
        return [self.plan(site) for site in sites]

    def plan(self, site: Site) -> Planned | str:
        """What is to be done about one site, or why nothing."""
        if site.dims not in (1, 2):
            return f"has {site.dims} axes; only one or two can be transformed"
        if not dtype_of(site).is_floating_point:
            return f"its numbers are {str(dtype_of(site)).removeprefix('torch.')}"
        problem = self._of(site, site.call)
        why = self._why_not(site, problem)
        if why:
            return why
        if not site.is_call:
            edit: Edit | str = self._formed(site)
            if isinstance(edit, str):
                return edit
        else:
            assert site.window is not None
            step = self._call(site.function, site.window, self._options)
            edit = Edit(site.module, "call", step, f"{self._op}{site.dims}d", site.place)

        def added(call: Call, itemsize: int) -> tuple[int, int]:
            return self._added(self._of(site, call), itemsize)

        return Planned(site, (edit,), self._after(site, problem), site.runs, added=added)

    def finish(self, planned: Sequence[Planned]) -> None:
        """No site has to do with another one."""

    def _why_not(self, site: Site, problem: Problem | None) -> str:
        raise NotImplementedError

    def _formed(self, site: Site) -> Edit | str:
        """A module of the form has attributes that those of torch's class have not."""
        name = f"{self._module}{site.dims}d"
        made: Any = getattr(ops, name)(1, 1, 1, **self._options, device="meta")
        plain: Any = getattr(nn, f"Conv{site.dims}d")(1, 1, 1, device="meta")
        attributes = {key: value for key, value in vars(made).items() if key not in vars(plain)}
        taken = [key for key in attributes if hasattr(site.module, key)]
        if taken:
            return f"has an attribute {taken[0]!r} of its own"
        return Edit(site.module, "form", Form(type(made), attributes))

    def _after(self, site: Site, problem: Problem | None) -> str:
        name = f"{self._module}{site.dims}d" if not site.is_call else f"{self._op}{site.dims}d"
        return f"{name}{self._in_words(problem)}"

    def _in_words(self, problem: Problem | None) -> str:
        raise NotImplementedError

    # --- sizes ----------------------------------------------------------------------------------

    def _of(self, site: Site, call: Call | None) -> Problem | None:
        device = self._place.device(site.module)
        return problem_of(site, call, device, channels_last=self._channels_last)

    def _explained(self, problem: Problem) -> tuple[str, str]:
        """(what would run, why) on tensors of these sizes."""
        with FakeTensorMode():
            x, weight = problem.tensors()
        arguments = {**problem.arguments, **self._options}
        found = explain(f"{self._op}{len(problem.stride)}d", x, weight, None, **arguments)
        return found.kernel, found.reasons[0]

    # --- cost -----------------------------------------------------------------------------------

    def _added(self, problem: Problem | None, itemsize: int) -> tuple[int, int]:
        """(MACs, bytes) more than torch's own; fewer MACs are negative.

        Transforms of N real numbers count as 5/4 N log2 N; that of the weight does not, which is
        kept from call to call on the CPU. Depthwise, a channel's spectrum stays in a cache; where
        channels meet, the spectra of the maps are written and read.
        """
        if problem is None or self._explained(problem)[0] == _DIRECT:
            return 0, 0
        grid, band = problem.spectrum(self._options)
        pairs = zip(band[:-1], grid[:-1], strict=True)
        bins = (band[-1] + 1) * math.prod(min(2 * most + 1, side) for most, side in pairs)
        images, outputs = problem.output_size[:2]
        share = problem.weight_size[1]
        # Depthwise, a channel is transformed as often as kernels meet it.
        inputs = outputs if problem.is_depthwise else problem.input_size[1]
        points, planes = math.prod(grid), images * (inputs + outputs)
        macs = round(planes * 1.25 * points * math.log2(points))
        macs += 4 * bins * images * outputs * share
        complexes = 2 * itemsize * bins
        spectra = outputs * share if problem.is_depthwise else 2 * planes + outputs * share
        return macs - problem.macs, complexes * spectra


class Accelerated(FrequencyRules):
    """Depthwise convolutions with large kernels become FFT convolutions, where that is sooner.

    Args:
        place: knows the devices.
        faster: "predicted", "measured" or a predicate of a site.
        channels_last: the memory format of the model's maps.
    """

    name = "accelerate"
    _op = "fft_conv"
    _module = "FFTConv"
    _call = FFTConv

    def __init__(self, place: Placer, faster: Faster, *, channels_last: bool) -> None:
        options = {} if faster == "predicted" else {"algorithm": "fft"}
        super().__init__(place, options, channels_last=channels_last)
        self._faster = faster
        self._measured: dict[Problem, tuple[float, float]] = {}

    def _why_not(self, site: Site, problem: Problem | None) -> str:
        if callable(self._faster):
            return "" if self._faster(site) else "the predicate says no"
        if problem is None:
            return "its sizes are known in a trace only: give example="
        if not problem.is_depthwise:
            return "not depthwise"
        if math.prod(site.kernel_size) == 1:
            return "one tap per channel"
        return self._slower(problem)

    def _slower(self, problem: Problem) -> str:
        """Why torch's own is to be preferred; "" if it is not."""
        taps, size = _by(problem.weight_size[2:]), _by(problem.input_size[2:])
        where = f"{taps} taps on {size}"
        if self._faster == "predicted":
            kernel, _ = self._explained(problem)
            return f"{where}: torch's own is sooner" if kernel == _DIRECT else ""
        if problem.device.type == "meta":
            return "is on the meta device, where nothing can be measured"
        if problem not in self._measured:
            self._measured[problem] = milliseconds(problem)
        own, fft = self._measured[problem]
        words = f"{where}: torch's own takes {own:.2f} ms, the FFT {fft:.2f} ms"
        return "" if fft < own else words

    def _in_words(self, problem: Problem | None) -> str:
        if problem is None:
            return ""
        grid, _ = problem.spectrum(self._options)
        words = f", transforms of {_by(grid)}"
        if problem in self._measured:
            own, fft = self._measured[problem]
            words += f": {fft:.2f} ms instead of {own:.2f} ms"
        return words


def _by(sizes: Sequence[int]) -> str:
    return "x".join(map(str, sizes))


class BandLimited(FrequencyRules):
    """Convolutions see low frequencies only.

    Args:
        place: knows the devices.
        options: compression, band and fft_size of :func:`freqops.band_limited_conv2d`.
        channels_last: the memory format of the model's maps.
    """

    name = "band_limit"
    _op = "band_limited_conv"
    _module = "BandLimitedConv"
    _call = BandLimitedConv

    def _why_not(self, site: Site, problem: Problem | None) -> str:
        return ""

    def _in_words(self, problem: Problem | None) -> str:
        """The band: how many of how many frequencies of each axis."""
        given = [f"{name}={value}" for name, value in self._options.items() if value is not None]
        words = f"({', '.join(given)})"
        if problem is None:
            return words
        grid, band = problem.spectrum(self._options)
        halves = [side // 2 for side in grid]
        if list(band) == halves:
            return f"{words}, every frequency"
        kept, of = ("x".join(f"0-{most}" for most in numbers) for numbers in (band, halves))
        return f"{words}, {kept} of {of} frequencies of {_by(grid)} samples"
