"""One model of timm: built without memory, converted, compared with what it was, and given back."""

from __future__ import annotations

import contextlib
import copy
import datetime
import re
import sys
import time
import traceback
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from timm_records import Record
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

sys.path.append(str(Path(__file__).resolve().parents[1] / "tests"))
import torchvision_ops

_torchvision_library = torchvision_ops.declare_missing()  # timm imports torchvision
import timm  # noqa: E402

import freqops  # noqa: E402

VERSIONS = f"freqops {freqops.__version__}, timm {timm.__version__}, torch {torch.__version__}"
_EARLY = "before the activation: "


def listed() -> list[str]:
    """The models there are."""
    return list(timm.list_models())


def family_of(name: str) -> str:
    """The file of timm that defines a model."""
    return str(timm.model_entrypoint(name).__module__).rpartition(".")[2]


def blank(name: str) -> Record:
    """A record without findings."""
    return Record(name, family_of(name), datetime.date.today().isoformat(), VERSIONS)


def parameters_of(name: str) -> int | None:
    """How many parameters a model has; None where it can't be built."""
    try:
        model, _ = _built(name)
    except Exception:  # said when it is this model's turn
        return None
    return sum(parameter.numel() for parameter in model.parameters())


def examined(name: str) -> Record:
    """A model's record; what goes wrong stands in it."""
    record = blank(name)
    begun = time.monotonic()
    step = "timm can't build it"
    try:
        model, record.device = _built(name)
        record.parameters = sum(parameter.numel() for parameter in model.parameters())
        record.input_size = _input_size(model)
        step = "antialias raised"
        record.problem = _convert(model, record)
    except Exception as error:  # whatever a model raises: the walk goes on
        record.problem = f"{step} {_sentence(error)}"
        record.traceback = "".join(traceback.format_exc().splitlines(keepends=True)[-9:])
    record.seconds = round(time.monotonic() - begun, 2)
    return record


def _built(name: str) -> tuple[nn.Module, str]:
    """A model without memory if timm can build it so, and on which device it is."""
    with contextlib.suppress(Exception), torch.device("meta"):
        return timm.create_model(name, pretrained=False), "meta"
    return timm.create_model(name, pretrained=False), "cpu"


def _input_size(model: nn.Module) -> list[int]:
    config: Any = model.pretrained_cfg
    return [int(one) for one in config["input_size"]]


def _convert(model: nn.Module, record: Record) -> str:
    """Converts a model and takes that back; what is wrong, "" if nothing is."""
    was, shapes = _attributes(model), _shapes(model)
    given = _output_sizes(model, record.input_size)
    report = freqops.antialias(model, "zhang")
    _count(report, record)
    problems = []
    if _shapes(model) != shapes:
        problems.append("state_dict has other keys or shapes")
    if isinstance(given, list):
        with _Coarser() as coarser:
            now = _output_sizes(model, record.input_size)
        record.sizes = now == given
        record.missed = dict(coarser.seen - _left_strided(report))
        if record.missed:
            problems.append(f"without a row, but still coarser: {_counted(record.missed)}")
        if not record.sizes:
            problems.append(f"converted, it gives {now}, not {given}")
    report.undo()
    left = _differences(was, _attributes(model))
    if left:
        problems.append(f"undo leaves {', '.join(left[:3])} changed")
    return "; ".join(problems)


def _count(report: freqops.Conversion, record: Record) -> None:
    record.trace = report.how
    record.converted = dict(Counter(row.kind for row in report.converted))
    record.left = dict(Counter(row.reason for row in report.left_alone))
    record.early = dict(
        Counter(row.after.partition(_EARLY)[2] for row in report.converted if _EARLY in row.after)
    )


def _counted(missed: dict[str, int]) -> str:
    return ", ".join(f"{count} {kind}" for kind, count in sorted(missed.items()))


def _sentence(error: Exception) -> str:
    lines = str(error).strip().splitlines() or [""]
    return f"{type(error).__name__}: {lines[0][:200]}"


# --- before and after ---------------------------------------------------------------------------


def _shapes(model: nn.Module) -> list[tuple[str, torch.Size]]:
    return [(key, tensor.shape) for key, tensor in model.state_dict().items()]


def _output_sizes(model: nn.Module, input_size: Iterable[int]) -> list[list[int]] | str:
    """What a copy of the model gives, without computing it; a sentence where it can't be run.

    The meta device, on which no trace of freqops runs: a witness of its own.
    """
    try:
        runner = copy.deepcopy(model).to("meta").eval()
        with torch.no_grad():
            result = runner(torch.empty(2, *input_size, device="meta"))
    except Exception as error:  # some models look at numbers, which are not there
        return _sentence(error)
    return [list(leaf.shape) for leaf in tree_leaves(result) if isinstance(leaf, Tensor)]


class _Coarser(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts, by kind of site, where maps are sampled more coarsely; global pools are left out.

    A place is a line in the forward of one module. Below autograd, where every function and every
    module has become one of few operators: what the trace of freqops would overlook is seen too.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._places: set[tuple[str, int, int]] = set()

    @property
    def seen(self) -> Counter[str]:
        """How many places there are of each kind."""
        return Counter(kind for kind, _, _ in self._places)

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        kind = _KINDS.match(func.name())
        if kind is not None and kind.lastgroup is not None:
            out = result[0] if isinstance(result, tuple) else result
            before, after = args[0].shape[2:], out.shape[2:]
            pairs = list(zip(before, after, strict=True))
            is_conv = kind.lastgroup == "conv"
            is_global = not is_conv and any(new == 1 < old for old, new in pairs)
            strided = max(args[3]) > 1 and not args[6] if is_conv else not is_global
            # A window without a stride takes its margin only.
            smaller = any(2 * new <= old + 1 and old > 1 for old, new in pairs)
            # What has no batch is no map of the input, but a table of positions that is fitted.
            if strided and smaller and len(args[0]) > 1:
                self._places.add((kind.lastgroup, *_caller()))
        return result


def _caller() -> tuple[int, int]:
    """The innermost module that is running, and its line."""
    frame = sys._getframe(2)
    while frame.f_back is not None and not isinstance(frame.f_locals.get("self"), nn.Module):
        frame = frame.f_back
    return id(frame.f_locals.get("self")), frame.f_lineno


_KINDS = re.compile(
    r"aten::_?(?:(?P<conv>convolution)|(?P<max_pool>max_pool)|(?P<avg_pool>avg_pool)"
    r"|(?P<adaptive_avg_pool>adaptive_avg_pool)|(?P<adaptive_max_pool>adaptive_max_pool)"
    r"|(?P<interpolate>upsample))"
)


def _left_strided(report: freqops.Conversion) -> Counter[str]:
    """How many sites of each kind have a stride still: left alone, or with a shared blur before."""
    left = [row for row in report.left_alone if not row.reason.startswith("global")]
    shared = [row for row in report.converted if "; stride" in row.after]
    # A blur of the model's own is a strided convolution.
    return Counter({"blur": "conv"}.get(row.kind, row.kind) for row in [*left, *shared])


def _attributes(model: nn.Module) -> dict[str, dict[str, Any]]:
    """What every module of a model is and holds, by path."""
    return {
        path: {"class": type(module)} | {name: _held(one) for name, one in vars(module).items()}
        for path, module in model.named_modules(remove_duplicate=False)
    }


def _held(value: Any) -> Any:
    """Containers as they are now, since they may be changed in place."""
    if isinstance(value, dict):
        return tuple(value.items())
    return tuple(value) if isinstance(value, (list, set)) else value


def _differences(was: dict[str, dict[str, Any]], now: dict[str, dict[str, Any]]) -> list[str]:
    """Paths of the attributes that are not what they were."""
    return [
        re.sub(r"^\.", "", f"{path}.{name}")
        for path in {**was, **now}
        for name in {**was.get(path, {}), **now.get(path, {})}
        if not _same(was.get(path, {}).get(name), now.get(path, {}).get(name))
    ]


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, tuple) and isinstance(other, tuple):
        return len(one) == len(other) and all(map(_same, one, other))
    if isinstance(one, (Tensor, nn.Module)) or callable(one):
        return one is other
    return one is other or bool(one == other)
