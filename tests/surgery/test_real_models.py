"""Definitions people use, converted by "zhang": every row, size and key, and the way back.

Most of it happens on the meta device, where a model of any size takes no memory and no arithmetic;
numbers are looked at in the small ones.
"""

import copy
import io
import pickle
import sys
from collections.abc import Iterator
from typing import Any, NamedTuple
from unittest import mock

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from freqops import Conversion, antialias
from freqops.surgery.tracing.graph import Trace
from freqops.surgery.tracing.trace import trace

torchvision = pytest.importorskip("torchvision")
timm = pytest.importorskip("timm")


class Case(NamedTuple):
    """What is known about a definition."""

    sites: tuple[int, int]  # converted, found
    sizes: tuple[tuple[int, int], ...] = ((107, 118), (224, 161))  # it takes; the first is small
    reasons: tuple[str, ...] = ()  # how those left alone begin, besides global pools


ANY = ((107, 118), (224, 161))
LARGE = ((139, 172), (299, 299))
BY_32 = ((96, 64), (224, 160))
FIXED = ((224, 224),)
BLURS = ("low-passes already",)
PATCHES = ("stride 16 cuts it into patches",)
RATIO = ("its sizes have no whole ratio",)

TORCHVISION = {
    "alexnet": Case((4, 4)),
    "convnext_tiny": Case((4, 5)),
    "densenet121": Case((5, 6)),
    "efficientnet_b0": Case((5, 22)),
    "googlenet": Case((5, 8), ANY, RATIO),
    "inception_v3": Case((10, 11), LARGE),
    "mnasnet0_5": Case((5, 5)),
    "mobilenet_v2": Case((5, 6)),
    "regnet_y_400mf": Case((9, 26)),
    "resnet18": Case((8, 9)),
    "resnet50": Case((8, 9)),
    "shufflenet_v2_x0_5": Case((8, 8)),
    "squeezenet1_1": Case((4, 5)),
    "vgg16": Case((5, 5)),
}
TIMM = {
    "convnext_atto": Case((4, 5)),
    "cspresnet50": Case((5, 6)),
    "darknet53": Case((5, 6)),
    "dla34": Case((11, 12), BY_32),
    "dpn48b": Case((8, 9)),
    "edgenext_xx_small": Case((4, 5)),
    "efficientformer_l1": Case((5, 5), FIXED),
    "ese_vovnet19b_slim": Case((5, 6)),
    "fastvit_t8": Case((10, 11)),
    "ghostnet_100": Case((9, 10)),
    "hrnet_w18_small": Case((23, 24), BY_32),
    "inception_resnet_v2": Case((10, 11), LARGE),
    "inception_v4": Case((11, 12), LARGE),
    "legacy_xception": Case((9, 10)),
    "mobilenetv3_small_050": Case((5, 6)),
    "mobileone_s0": Case((22, 23)),
    "nfnet_f0": Case((8, 9)),
    "regnetz_b16": Case((5, 6)),
    "repvgg_a0": Case((10, 11)),
    "res2net50_26w_4s": Case((17, 18)),
    "resnest14d": Case((8, 9)),
    "resnet26d": Case((8, 9)),
    "resnetblur18": Case((4, 9), ANY, BLURS),
    "rexnet_100": Case((5, 6)),
    "selecsls42": Case((6, 7)),
    "seresnet18": Case((8, 9)),
    "skresnet18": Case((11, 12)),
    "swin_tiny_patch4_window7_224": Case((1, 1), FIXED),
    "tf_efficientnet_b0": Case((5, 6)),
    "tresnet_m": Case((3, 6), BY_32, BLURS),
    "vit_tiny_patch16_224": Case((0, 1), FIXED, PATCHES),
    "xception41": Case((9, 10)),
}
CASES = {f"torchvision:{name}": case for name, case in TORCHVISION.items()} | {
    f"timm:{name}": case for name, case in TIMM.items()
}


def made(name: str) -> nn.Module:
    library, _, definition = name.partition(":")
    if library == "timm":
        model: nn.Module = timm.create_model(definition, pretrained=False)
    else:
        drawn = definition not in ("googlenet", "inception_v3")  # they draw for many seconds
        options = {} if drawn else {"init_weights": False}
        model = torchvision.models.get_model(definition, weights=None, **options)
    return model.eval()


def made_on_meta(name: str) -> nn.Module:
    if "regnet_y" in name:  # reads numbers of tensors while it is made
        return made(name).to("meta")
    with torch.device("meta"):
        return made(name)


# --- structure ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CASES)
def test_structure(name: str, traces: list[Trace]) -> None:
    case, model = CASES[name], made_on_meta(name)
    twin = copy.deepcopy(model)
    inputs = [torch.empty(1, 3, *size, device="meta") for size in case.sizes]
    plain = [events(model, x) for x in inputs]
    was, parameters = snapshot(model), list(map(id, model.parameters()))
    state = model.state_dict()

    report = antialias(model)

    check_trace(model, traces[0])
    check_rows(report, case)
    converted = [events(model, x) for x in inputs]
    for before, after in zip(plain, converted, strict=True):
        check_sizes(report, before, after)
    assert list(map(id, model.parameters())) == parameters
    copied = copy.deepcopy(model)
    check_state(model, copied, twin, state)
    assert events(pickle.loads(pickle.dumps(copied)), inputs[0]) == converted[0]
    report.undo()
    assert snapshot(model) == was


@pytest.fixture
def traces(monkeypatch: pytest.MonkeyPatch) -> list[Trace]:
    """Those that antialias makes of the models before it converts them."""
    made: list[Trace] = []
    module = sys.modules["freqops.surgery.antialiasing"]

    def kept(*args: Any) -> Trace:
        made.append(trace(*args))
        return made[-1]

    monkeypatch.setattr(module, "trace", kept)
    return made


def check_trace(model: nn.Module, seen: Trace) -> None:
    """Every layer that is called is seen, and every value has a producer."""
    called = {id(call.module) for call in seen.calls}
    layers = {n: m for n, m in model.named_modules() if list(m.parameters(recurse=False))}
    assert len(layers) > 7
    assert not [name for name, module in layers.items() if id(module) not in called]
    for call in seen.calls:
        for value in call.inputs:
            producer = seen.producer(value)
            assert value in seen.inputs or (producer is not None and producer.atom)
        assert call.outputs or not call.inputs  # of constants alone


def check_rows(report: Conversion, case: Case) -> None:
    assert (len(report.converted), len(report)) == case.sites
    assert report.how == "seen on fake tensors, train mode"
    assert all(bool(row.after) != bool(row.reason) for row in report)
    known = (*case.reasons, "global: one sample is left of an axis")
    assert all(row.reason.startswith(known) for row in report.left_alone)
    for reason in case.reasons:
        assert any(row.reason.startswith(reason) for row in report.left_alone)


def check_state(
    model: nn.Module, copied: nn.Module, twin: nn.Module, state: dict[str, Tensor]
) -> None:
    """Keys and shapes are what they were, and checkpoints load in both directions."""
    now = model.state_dict()
    assert {key: value.shape for key, value in now.items()} == {
        key: value.shape for key, value in state.items()
    }
    assert list(now) == list(state)
    copied.load_state_dict(state, strict=True, assign=True)
    twin.load_state_dict(now, strict=True, assign=True)


class Event(NamedTuple):
    """A module's call that ended."""

    path: str
    size: tuple[int, ...]


def events(model: nn.Module, x: Tensor) -> list[Event]:
    """What the modules gave, in the order in which they ended; steps are modules too."""
    found: list[Event] = []

    def note(path: str) -> Any:
        def hook(module: nn.Module, args: Any, result: Any) -> None:
            if isinstance(result, Tensor):
                found.append(Event(path, tuple(result.shape)))

        return hook

    hooks = [one.register_forward_hook(note(path)) for path, one in model.named_modules()]
    with torch.no_grad(), mock.patch.object(F, "batch_norm", lambda x, *_, **__: x.clone()):
        model(x)  # most of the time would go to what has no influence on a size
    for one in hooks:
        one.remove()
    return found


def check_sizes(report: Conversion, before: list[Event], after: list[Event]) -> None:
    """Only what stands between a convolution and its blur is larger.

    Read off the two runs, not off what was planned: a larger map begins with a converted
    convolution, and nothing stays larger behind the blur that the report names.
    """
    plain = [event for event in after if "antialias" not in event.path]
    assert [event.path for event in plain] == [event.path for event in before]
    changed = {now.path for was, now in zip(before, plain, strict=True) if was != now}
    allowed: set[str] = set()
    for row in report.converted:
        if row.kind == "conv" and row.name in changed:
            allowed |= between(row.name, row.after, after)
    assert changed <= allowed


def between(site: str, what: str, run: list[Event]) -> set[str]:
    """The modules from a site to its blur, in a run; the one with the blur gives small maps."""
    paths = [event.path for event in run]
    position = what.rpartition(") ")[2]
    _, _, place = position.rpartition("before ") if ", before " in position else ("", "", "")
    if place:
        end = paths.index(f"{place}.antialias_input")
        return set(paths[paths.index(site) : end])
    place = site if position.startswith(("behind it", "before the")) else position[len("behind ") :]
    end = paths.index(f"{place}.antialias_output")
    return set(paths[paths.index(site) : end]) - {place}


def snapshot(model: nn.Module) -> dict[str, Any]:
    """Classes and attributes; tensors and other objects by identity."""
    return {path: (type(one), tuple(held(vars(one)))) for path, one in model.named_modules()}


def held(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        for key, one in value.items():
            yield key
            yield from held(one)
    elif isinstance(value, (str, int, float, tuple, list, type(None))):
        yield repr(value)
    else:
        yield id(value)


# --- numbers ------------------------------------------------------------------------------------

# With one tap there is no blur, and what is left is the same sampling: every sample has to be on
# the grid it was on, wherever it is taken now.
SMALL = [
    "torchvision:resnet18",
    "torchvision:mobilenet_v2",
    "torchvision:shufflenet_v2_x0_5",
    "timm:convnext_atto",
    "timm:ghostnet_100",
    "timm:mobilenetv3_small_050",
    "timm:repvgg_a0",
    "timm:resnet26d",
    "timm:tf_efficientnet_b0",
]


@pytest.mark.parametrize("name", SMALL)
@torch.no_grad()
def test_numbers(name: str) -> None:
    model, x = made(name), torch.rand(1, 3, 65, 72)
    plain = model(x)
    same = antialias(model, taps=1, example=x)
    assert same.converted
    assert (model(x) - plain).norm() <= 1e-5 * plain.norm()
    same.undo()

    report = antialias(model, example=x)
    converted = model(x)
    assert not torch.equal(converted, plain)
    assert torch.equal(saved(model)(x), converted)
    report.undo()
    assert torch.equal(model(x), plain)


def saved(model: nn.Module) -> nn.Module:
    file = io.BytesIO()
    torch.save(model, file)
    file.seek(0)
    loaded: nn.Module = torch.load(file, weights_only=False)
    return loaded


OTHERS = ["torchvision:resnet18", "timm:tf_efficientnet_b0"]


@pytest.mark.parametrize("name", OTHERS)
@torch.no_grad()
def test_checkpoint_in_both_directions(name: str) -> None:
    model, x = made(name), torch.rand(1, 3, 65, 72)
    twin, plain = made(name), model(x)
    antialias(model, example=x)
    twin.load_state_dict(model.state_dict(), strict=True)
    assert torch.equal(twin(x), plain)
    antialias(twin)
    assert torch.equal(twin(x), model(x))


@pytest.mark.parametrize("name", OTHERS)
@pytest.mark.parametrize("recipe", ["pool_only", "composer", "vasconcelos", "flc", "aps"])
@torch.no_grad()
def test_recipe(name: str, recipe: str) -> None:
    model, x = made(name), torch.rand(1, 3, 65, 72)
    plain, before, was = model(x), events(model, x), snapshot(model)
    report = antialias(model, recipe, example=x)
    after = events(model, x)
    if recipe in ("flc", "aps"):
        check_sizes(report, before, after)
    else:  # nothing is larger anywhere
        assert [event for event in after if "antialias" not in event.path] == before
    assert {row.kind for row in report.converted} == KINDS[recipe] & {row.kind for row in report}
    converted = model(x)
    assert report.converted == () or not torch.equal(converted, plain)
    assert torch.equal(pickle.loads(pickle.dumps(model))(x), converted)
    report.undo()
    assert snapshot(model) == was
    assert torch.equal(model(x), plain)


KINDS = {
    "pool_only": {"max_pool"},
    "composer": {"max_pool", "conv"},
    "vasconcelos": {"max_pool", "conv"},
    "flc": {"max_pool", "conv"},
    "aps": {"max_pool", "conv"},
}


@pytest.mark.parametrize(
    "name",
    ["torchvision:mobilenet_v2", "torchvision:densenet121", "timm:resnet26d", "timm:inception_v4"],
)
def test_structure_of_flc(name: str) -> None:
    """Odd sizes and averages too, of as many sites as "zhang" has."""
    case, model = CASES[name], made_on_meta(name)
    inputs = [torch.empty(1, 3, *size, device="meta") for size in case.sizes]
    plain, state = [events(model, x) for x in inputs], model.state_dict()
    report = antialias(model, "flc")
    assert (len(report.converted), len(report)) == case.sites
    for before, x in zip(plain, inputs, strict=True):
        check_sizes(report, before, events(model, x))
    model.load_state_dict(state, strict=True, assign=True)
    report.undo()
    assert events(model, inputs[0]) == plain[0]


def test_compiled() -> None:
    model, x = made("torchvision:resnet18"), torch.rand(1, 3, 65, 72)
    antialias(model)
    compiled = torch.compile(model, backend="aot_eager", fullgraph=True)
    torch.testing.assert_close(compiled(x), model(x))


def test_counted_operations() -> None:
    """Against torch's own counter, which knows convolutions; one tap adds none of its own."""
    for name in ("torchvision:resnet18", "timm:tf_efficientnet_b0"):
        model, x = made(name), torch.rand(2, 3, 65, 72)
        before = operations(model, x)
        report = antialias(model, taps=1, example=x)
        assert 2 * report.cost(x, repeats=1).macs == operations(model, x) - before


def operations(model: nn.Module, x: Tensor) -> int:
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(x)
    return counter.get_total_flops()


# --- what is found ------------------------------------------------------------------------------


def test_what_is_found_in_inception() -> None:
    report = antialias(made_on_meta("torchvision:inception_v3"))
    assert [row.name for row in report.converted] == [
        "Conv2d_1a_3x3.conv",
        "maxpool1",
        "maxpool2",
        "Mixed_6a.branch3x3.conv",
        "Mixed_6a.branch3x3dbl_3.conv",
        "Mixed_6a._forward:max_pool2d",
        "AuxLogits.forward:avg_pool2d",
        "Mixed_7a.branch3x3_2.conv",
        "Mixed_7a.branch7x7x3_4.conv",
        "Mixed_7a._forward:max_pool2d",
    ]
    assert report["Mixed_6a.branch3x3.conv"].after.endswith("behind Mixed_6a.branch3x3")


def test_one_expression_for_more_and_less() -> None:
    """CoaT's interpolation makes some maps larger and others smaller."""
    report = antialias(made_on_meta("timm:coat_tiny"))
    rows = [row for row in report if row.kind == "interpolate"]
    assert rows
    reason = "is called with different arguments in one forward"
    assert {row.reason for row in rows} == {reason}


def test_shift_consistency_of_resnet() -> None:
    """What it is for: one pixel of shift changes less."""
    model = made("torchvision:resnet18")
    x = F.avg_pool2d(torch.rand(4, 3, 131, 131), 3, 1)

    def difference() -> float:
        with torch.no_grad():
            one, two = model(x[..., :128, :128]), model(x[..., 1:, 1:])
        return float((one - two).norm() / one.std(0).norm())

    plain = difference()
    antialias(model)
    assert difference() < 0.6 * plain
