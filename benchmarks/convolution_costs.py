"""Where transforms overtake torch's convolutions: what _convolution_costs.py was fitted to.

    python benchmarks/convolution_costs.py                   measures, keeps, reports
    python benchmarks/convolution_costs.py --report          from what was kept
    python benchmarks/convolution_costs.py --crossover       the figure's sizes; keeps and draws
    python benchmarks/convolution_costs.py --plot            from what was kept

Least milliseconds of one call either way, on two threads with the allocator that users get. The
report names every trial where the cost model picks the way that was slower by more than 5 %.
"""

from __future__ import annotations

import argparse
import json
import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

import torch
from convolution_trials import Found, Trial, grid, measure
from environment import ROOT, describe

from freqops.bench import record
from freqops.ops._convolution_costs import method
from freqops.ops._convolution_rules import Geometry, convolved_sizes, ends_per_axis

RESULTS = Path(__file__).resolve().parent / "results"
COSTS = RESULTS / "convolution_costs.json"
CROSSOVER = RESULTS / "convolution_crossover.json"
FIGURE = ROOT / "docs" / "images" / "convolution_crossover.png"
ALLOWED = 1.05


def pick(trial: Trial) -> str:
    """The way that the cost model takes: "direct" or "fft"."""
    x, weight = trial.operands("meta")
    dims = x.dim() - 2
    stride, padding, dilation, groups = trial.arguments
    geometry = Geometry((stride,) * dims, (padding,) * dims, (dilation,) * dims, groups)
    ends = ends_per_axis(geometry.padding, weight.shape[2:], geometry.dilation)
    size = convolved_sizes("conv", x.shape[2:], weight.shape[2:], ends, geometry)
    with torch.set_grad_enabled(trial.training):
        return method(x, weight, size, geometry, "cpu")


def report(results: Sequence[Found]) -> str:
    """Wrong choices and their price; per group how many, and what the choices cost together."""
    lines, groups = [], defaultdict(list)
    for found in results:
        chosen = pick(found.trial)
        times = {"direct": found.direct, "fft": found.fft}
        ratio = times[chosen] / min(times.values())
        groups[found.trial.group, found.trial.training].append(ratio)
        if ratio > ALLOWED:
            word = "slower than torch" if chosen == "fft" else "gain missed"
            lines.append(
                f"{ratio:6.2f}x  {word}: {found.trial.label}: direct {found.direct:.3f} ms, "
                f"fft {found.fft:.3f} ms; {chosen}"
            )
    lines.append(f"\n{'':26} trials  wrong  most  geometric mean")
    for (group, training), ratios in groups.items():
        wrong = sum(ratio > ALLOWED for ratio in ratios)
        mean = math.exp(sum(map(math.log, ratios)) / len(ratios))
        name = f"{group}{', training' if training else ''}"
        lines.append(f"{name:26} {len(ratios):6}  {wrong:5}  {max(ratios):4.2f}  {mean:.3f}")
    return "\n".join(lines)


def keep(path: Path, trials: Iterable[Trial], seconds: float, *, chosen: bool) -> list[Found]:
    """Measures and writes a file."""
    environment = describe()
    results = []
    for trial in trials:
        results.append(measure(trial, seconds, chosen=chosen))
        print(f"{results[-1].direct:9.3f} {results[-1].fft:9.3f}  {trial.label}", flush=True)
    environment.update(threads=torch.get_num_threads(), torch=torch.__version__)
    content = {"environment": environment, "trials": [found.record() for found in results]}
    path.parent.mkdir(exist_ok=True)
    path.write_text(record.text(content))
    return results


def kept(path: Path) -> list[Found]:
    """What a file holds."""
    return [Found.of(trial) for trial in json.loads(path.read_text())["trials"]]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--report", action="store_true")
    parser.add_argument("--crossover", action="store_true")
    parser.add_argument("--plot", action="store_true")
    parser.add_argument("--only", default="", help="groups of trials, such as depthwise,dense")
    parser.add_argument("--seconds", type=float, default=0.05, help="for each trial, about")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, help="another file than results/")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    if arguments.crossover or arguments.plot:
        import convolution_plot

        path = arguments.out or CROSSOVER
        if arguments.crossover:
            keep(path, convolution_plot.trials(), 4 * arguments.seconds, chosen=True)
        convolution_plot.draw(json.loads(path.read_text()), FIGURE)
        return
    path = arguments.out or COSTS
    if not arguments.report:
        only = set(filter(None, arguments.only.split(",")))
        trials = [trial for trial in grid() if not only or trial.group in only]
        keep(path, trials, arguments.seconds, chosen=False)
    print(report(kept(path)))


if __name__ == "__main__":
    main()
