"""The sweep against a naive loop, and everything that must not change its numbers."""

import copy
import sys
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from freqops import demo
from freqops.evaluation import InputError, SweepInterrupted, conditions, sweep
from freqops.evaluation.conditions import Condition, default_cutoffs

CUTOFFS = [2, 4, 7.5]


def naive_filter(image: np.ndarray, radius: float, band: str) -> np.ndarray:
    """One image [C, H, W], channel by channel: shifted numpy FFT, sqrt(dist) < r, real part."""
    filtered = np.zeros(image.shape)
    for channel, plane in enumerate(image.astype(np.float64)):
        rows, columns = plane.shape
        y, x = np.indices(plane.shape)
        distance = (y - rows // 2) ** 2 + (x - columns // 2) ** 2
        mask = np.sqrt(distance) < radius
        mask = mask if band == "low" else ~mask
        spectrum = np.fft.fftshift(np.fft.fft2(plane)) * mask
        filtered[channel] = np.fft.ifft2(np.fft.ifftshift(spectrum)).real
    return filtered


def naive_predictions(model: nn.Module, images: Tensor, radius: float, band: str) -> list[int]:
    """One forward pass per image."""
    predictions = []
    with torch.no_grad():
        for image in images.numpy():
            filtered = torch.from_numpy(naive_filter(image, radius, band)).float()
            predictions.append(int(model(filtered[None]).argmax()))
    return predictions


def test_equals_naive_loop_prediction_by_prediction(net, loader, images, labels) -> None:
    result = sweep(net, loader, CUTOFFS, keep_predictions=True, progress=False)
    net.eval()
    answers = set()
    for band in ("low", "high"):
        for radius in CUTOFFS:
            expected = naive_predictions(net, images, radius, band)
            assert result.predictions["TinyNet", band, radius].tolist() == expected
            answers.update(expected)
            hits = (np.array(expected) == labels.numpy()).sum()
            assert result.record("TinyNet", band, radius)["top1"] == hits / len(labels)
    assert len(answers) >= 3  # or the comparison would say little
    with torch.no_grad():
        assert torch.equal(result.predictions["TinyNet", "none", None], net(images).argmax(1))


def test_equals_naive_loop_on_the_embedded_photographs() -> None:
    model, photographs = demo.model(), demo.images()
    chosen = range(0, len(photographs), 40)
    images = torch.stack([photographs[i][0] for i in chosen])
    labels = torch.tensor([photographs[i][1] for i in chosen])
    data = [(images[:17], labels[:17]), (images[17:], labels[17:])]
    result = sweep({"demo": model}, data, [4, 8, 16], keep_predictions=True, progress=False)
    for band in ("low", "high"):
        for radius in (4.0, 8.0, 16.0):
            expected = naive_predictions(model, images, radius, band)
            assert result.predictions["demo", band, radius].tolist() == expected


def test_top5_and_classes(net, loader, images, labels) -> None:
    result = sweep(net, loader, [4], progress=False)
    net.eval()
    with torch.no_grad():
        scores = net(images)
    best = scores.argsort(dim=1, descending=True)
    baseline = result.record("TinyNet")
    assert baseline["top5"] == (best[:, :5] == labels[:, None]).any(1).double().mean().item()
    per_class = [(best[labels == c, 0] == c).double().mean().item() for c in range(6)]
    assert baseline["per_class"] == pytest.approx(per_class)
    assert baseline["balanced"] == pytest.approx(np.mean(per_class))
    assert baseline["samples"] == 22


def test_records_in_order(net, loader) -> None:
    result = sweep({"a": net, "b": net}, loader, [2, 4, 2], progress=False)
    keys = [(r["model"], r["kind"], r["cutoff"]) for r in result.records]
    bands = [("none", None), ("low", 2), ("low", 4), ("high", 2), ("high", 4)]
    assert keys == [(m, *c) for m in "ab" for c in bands]
    one_band = sweep(net, loader, 4.0, kinds="high", progress=False)
    assert [r["kind"] for r in one_band.records] == ["none", "high"]


def test_each_batch_is_filtered_once(net, loader, monkeypatch) -> None:
    calls = []
    real = conditions.low_high2d

    def counted(images, cutoffs, **options):
        calls.append((images.shape[0], len(cutoffs)))
        return real(images, cutoffs, **options)

    monkeypatch.setattr(conditions, "low_high2d", counted)
    sweep({"a": net, "b": net, "c": net}, loader, CUTOFFS, progress=False)
    assert calls == [(5, 3)] * 4 + [(2, 3)]


def test_memory_bound_splits_the_cutoffs(net, loader, monkeypatch) -> None:
    whole = sweep(net, loader, [1, 2, 3, 4, 5], progress=False)
    calls = []
    real = conditions.low_high2d
    monkeypatch.setattr(
        conditions, "low_high2d", lambda x, c, **o: calls.append(len(c)) or real(x, c, **o)
    )
    monkeypatch.setattr(conditions, "FILTERED_BYTES", 2 * 3 * 5 * 3 * 16 * 16 * 4)
    assert sweep(net, loader, [1, 2, 3, 4, 5], progress=False).records == whole.records
    assert calls[:3] == [2, 2, 1]
    monkeypatch.setattr(conditions, "FILTERED_BYTES", 1)
    assert sweep(net, loader, [1, 2, 3, 4, 5], progress=False).records == whole.records


def test_normalises_after_the_filter(net, images, labels) -> None:
    mean, std = (0.5, 0.4, 0.3), (0.2, 0.25, 0.3)
    seen = []

    def spy(x: Tensor) -> Tensor:
        seen.append(x)
        return net(x)

    sweep({"m": spy}, [(images, labels)], [4], normalize=(mean, std), progress=False)
    for tensor, band in zip(seen, (None, "low", "high"), strict=True):
        pixels = images if band is None else None
        if pixels is None:
            pixels = torch.from_numpy(np.stack([naive_filter(i, 4, band) for i in images.numpy()]))
        expected = (pixels - torch.tensor(mean).view(3, 1, 1)) / torch.tensor(std).view(3, 1, 1)
        assert torch.allclose(tensor, expected.float(), atol=2e-5)


def test_normalisation_by_model(images, labels) -> None:
    seen = {}
    models = {
        name: lambda x, name=name: seen.setdefault(name, x).flatten(1)[:, :6] for name in "ab"
    }
    sweep(models, [(images, labels)], [4], normalize={"b": (0.5, 2.0)}, progress=False)
    assert torch.equal(seen["a"], images)
    assert torch.allclose(seen["b"], (images - 0.5) / 2)


@pytest.mark.parametrize(
    ("options", "unit"), [({"unit": "cycles"}, 1 / 16), ({"unit": "nyquist"}, 2 / 16)]
)
def test_units_agree(net, loader, options, unit) -> None:
    bins = sweep(net, loader, [2, 5], keep_predictions=True, progress=False)
    other = sweep(
        net, loader, [2 * unit, 5 * unit], keep_predictions=True, progress=False, **options
    )
    for (_, *a), (_, *b) in zip(bins.predictions, other.predictions, strict=True):
        key, other_key = ("TinyNet", *a), ("TinyNet", *b)
        assert torch.equal(bins.predictions[key], other.predictions[other_key])


def test_options_reach_the_filter(net, loader, monkeypatch) -> None:
    seen = {}
    real = conditions.low_high2d
    monkeypatch.setattr(
        conditions, "low_high2d", lambda x, c, **o: seen.update(o) or real(x, c, **o)
    )
    options = {"unit": "cycles", "norm": "linf", "kind": "butterworth"}
    sweep(net, loader, [0.2], inclusive=True, order=3, progress=False, **options)
    del seen["out"]
    assert seen == {**options, "inclusive": True, "order": 3}


def test_modes_and_gradients_are_given_back(net, loader) -> None:
    net.train()
    net.norm.eval()
    flags = [m.training for m in net.modules()]
    state = copy.deepcopy(net.state_dict())
    first = sweep(net, loader, [4], progress=False)
    assert [m.training for m in net.modules()] == flags
    assert all(torch.equal(v, state[k]) for k, v in net.state_dict().items())
    assert first.records == sweep(net, loader, [4], progress=False).records  # dropout was off
    assert torch.is_grad_enabled()


def test_modes_are_given_back_after_an_error(net) -> None:
    net.train()
    with pytest.raises(InputError, match="failed on images"):
        sweep(net, [(torch.rand(2, 5, 8, 8), torch.zeros(2).long())], [2], progress=False)
    assert net.training


def test_max_batches(net, loader, images, labels) -> None:
    part = sweep(net, loader, [4], max_batches=2, progress=False)
    same = sweep(net, [(images[:10], labels[:10])], [4], progress=False)
    assert part.records == same.records


def test_grey_and_rectangular_images(net) -> None:
    net.conv = nn.Conv2d(1, 8, 3)
    data = [(torch.rand(3, 1, 7, 11), torch.tensor([0, 1, 2]))]
    result = sweep(net, data, [3], unit="bins", progress=False)
    assert result.settings["image_size"] == [1, 7, 11]


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_other_dtypes(net, images, labels, dtype) -> None:
    """The filter keeps the images' dtype; the model gets its own."""
    result = sweep(net, [(images.to(dtype), labels)], [4], progress=False)
    assert result.records[0]["samples"] == 22


def test_autocast(images, labels) -> None:
    seen = []

    def model(x: Tensor) -> Tensor:
        seen.append((x @ x.mT).dtype)
        return x.flatten(1)[:, :6]

    sweep({"m": model}, [(images, labels)], [4], autocast="bfloat16", progress=False)
    assert set(seen) == {torch.bfloat16}
    with pytest.raises(InputError, match="autocast must be"):
        sweep({"m": model}, [(images, labels)], [4], autocast="int8", progress=False)


def test_nan_outputs_count_as_wrong(images, labels) -> None:
    def model(x: Tensor) -> Tensor:
        scores = nn.functional.one_hot(labels, 6).float()
        scores[3] = float("nan")
        return scores

    with pytest.warns(UserWarning, match="NaN for 1 of 22"):
        result = sweep({"m": model}, [(images, labels)], [4], progress=False)
    assert result.record("m")["top1"] == 21 / 22
    assert result.record("m")["nan_rows"] == 1


def test_output_containers(images, labels) -> None:
    class Output:
        def __init__(self, logits: Tensor) -> None:
            self.logits = logits

    wrap = {
        "object": Output,
        "tuple": lambda s: (s, None),
        "mapping": lambda s: {"out": s},
        "tensor": lambda s: s,
    }
    models = {n: lambda x, f=f: f(x.flatten(1)[:, :6]) for n, f in wrap.items()}
    result = sweep(models, [(images, labels)], [4], progress=False)
    assert len({result.record(name)["top1"] for name in models}) == 1


# --- interrupt and resume -------------------------------------------------------------------------


class Interrupting:
    """A data set whose reader is stopped by Ctrl-C at one image."""

    def __init__(self, images: Tensor, labels: Tensor, at: int | None) -> None:
        self.images, self.labels, self.at = images, labels, at

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        if index == self.at:
            raise KeyboardInterrupt
        return self.images[index], self.labels[index]


def mean_margin(outputs: Tensor, labels: Tensor) -> Tensor:
    return outputs.gather(1, labels[:, None]).mean()


METRICS = {"none": None, "function": mean_margin, "several": {"m": mean_margin}}


@pytest.mark.parametrize("metric", METRICS.values(), ids=METRICS)
def test_resume_ends_with_the_same_numbers(net, images, labels, tmp_path, metric) -> None:
    options = {"metric": metric, "progress": False, "keep_predictions": True}
    whole = sweep(net, DataLoader(TensorDataset(images, labels), batch_size=5), CUTOFFS, **options)
    state = tmp_path / "deep" / "state.pt"
    for at, done in ((8, 1), (17, 3)):
        broken = DataLoader(Interrupting(images, labels, at), batch_size=5)
        with pytest.raises(SweepInterrupted) as stop:
            sweep(net, broken, CUTOFFS, resume=state, **options)
        assert (stop.value.done, stop.value.total) == (done, 5)
        assert state.exists()
    read = []

    class Counting(Interrupting):
        def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
            read.append(index)
            return super().__getitem__(index)

    rest = DataLoader(Counting(images, labels, None), batch_size=5)
    result = sweep(net, rest, CUTOFFS, resume=state, **options)
    assert result.records == whole.records
    for key, predictions in whole.predictions.items():
        assert torch.equal(result.predictions[key], predictions)
    assert not state.exists()
    assert min(read) == 10  # the last finished batch is read for comparison, no earlier one


def test_interrupt_inside_a_batch_loses_that_batch_only(net, loader, tmp_path) -> None:
    whole = sweep({"m": net}, loader, CUTOFFS, progress=False)
    passes = 0

    def stopped(x: Tensor) -> Tensor:
        nonlocal passes
        passes += 1
        if passes == 2 * 7 + 4:  # the third batch, half of its conditions done
            raise KeyboardInterrupt
        return net.eval()(x)

    state = tmp_path / "state.pt"
    with pytest.raises(SweepInterrupted) as stop:
        sweep({"m": stopped}, loader, CUTOFFS, progress=False, resume=state)
    assert stop.value.done == 2
    again = sweep({"m": lambda x: net.eval()(x)}, loader, CUTOFFS, progress=False, resume=state)
    assert again.records == whole.records


def test_state_is_saved_on_the_way(net, images, labels, tmp_path) -> None:
    """A process that is killed leaves the state of the last write."""
    state = tmp_path / "state.pt"

    def dying() -> Iterator[tuple[Tensor, Tensor]]:
        yield images[:5], labels[:5]
        yield images[5:10], labels[5:10]
        assert state.exists()
        raise RuntimeError("killed")

    with pytest.raises(RuntimeError, match="killed"):
        sweep(net, dying(), CUTOFFS, progress=False, resume=state, save_every=0)
    whole = [(images[i : i + 5], labels[i : i + 5]) for i in range(0, 22, 5)]
    resumed = sweep(net, iter(whole), CUTOFFS, progress=False, resume=state)
    assert resumed.records == sweep(net, whole, CUTOFFS, progress=False).records


def test_resume_refuses_other_settings(net, images, labels, tmp_path) -> None:
    state = tmp_path / "state.pt"
    broken = DataLoader(Interrupting(images, labels, 12), batch_size=5)
    whole = DataLoader(TensorDataset(images, labels), batch_size=5)

    def leave_state() -> None:
        state.unlink(missing_ok=True)
        with pytest.raises(SweepInterrupted):
            sweep(net, broken, CUTOFFS, resume=state, progress=False)

    leave_state()
    with pytest.raises(InputError, match=r"other settings: cutoffs was .* now .*; delete it"):
        sweep(net, whole, [2, 4], resume=state, progress=False)
    with pytest.raises(InputError, match="norm was l2, now linf"):
        sweep(net, whole, CUTOFFS, norm="linf", resume=state, progress=False)
    with torch.no_grad():
        net.head.bias += 1
    with pytest.raises(InputError, match="models was"):
        sweep(net, whole, CUTOFFS, resume=state, progress=False)
    with torch.no_grad():
        net.head.bias -= 1
    leave_state()
    other = DataLoader(TensorDataset(images.flip(0), labels), batch_size=5)
    with pytest.raises(InputError, match="other data or another order"):
        sweep(net, other, CUTOFFS, resume=state, progress=False)
    state.write_bytes(b"nonsense")
    with pytest.raises(InputError, match="not a readable sweep state"):
        sweep(net, whole, CUTOFFS, resume=state, progress=False)
    torch.save({"a": 1}, state)
    with pytest.raises(InputError, match="is not a sweep state"):
        sweep(net, whole, CUTOFFS, resume=state, progress=False)


def test_resume_needs_one_order(net, images, labels, tmp_path) -> None:
    shuffled = DataLoader(TensorDataset(images, labels), batch_size=5, shuffle=True)
    with pytest.raises(InputError, match="shuffle=False"):
        sweep(net, shuffled, [4], resume=tmp_path / "state", progress=False)
    assert sweep(net, shuffled, [4], progress=False).records[0]["samples"] == 22


# --- what is refused ------------------------------------------------------------------------------

IMAGES, LABELS = torch.rand(4, 3, 16, 16), torch.tensor([0, 1, 2, 3])


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"cutoffs": []}, "cutoffs must hold at least one number, got none"),
        ({"cutoffs": [-1]}, "cutoffs must be finite and at least 0, got -1"),
        ({"cutoffs": [float("nan")]}, "cutoffs must be finite and at least 0, got nan"),
        ({"cutoffs": [17]}, "cutoff 17 is out of range: in unit 'bins' images of 16x16 pixels"),
        ({"cutoffs": [4], "unit": "cycles"}, "cutoff 4 is out of range: in unit 'cycles'"),
        ({"unit": "hertz"}, "unit must be one of cycles, nyquist, bins, got 'hertz'"),
        ({"norm": "l3"}, "norm must be one of l2, linf, l1, got 'l3'"),
        ({"kind": "gausian"}, r"got 'gausian' \(did you mean gaussian"),
        ({"kinds": ("low", "mid")}, "kinds must be taken from 'low' and 'high'"),
        ({"order": 0}, "order must be at least 1, got 0"),
        ({"max_batches": 0}, "max_batches must be at least 1, got 0"),
        ({"metric": 3}, "metric must be a function of"),
        ({"metric": {}}, "metric must name at least one metric"),
        ({"models": {}}, "models must name at least one model"),
        ({"models": {"m": 3}}, "model 'm' must be callable, got int"),
        ({"normalize": 3}, "normalize must be a pair"),
        ({"normalize": (0.5, 0)}, "standard deviations above 0"),
        ({"normalize": ((0.5, 0.5), (1, 1))}, "normalize has 2 channels, the images have 3"),
        ({"normalize": {"x": (0, 1)}}, "normalize names 'x', which is no model here"),
        ({"device": "cuda:99"}, "device cuda:99 can't be used"),
        ({"data": []}, "data holds no images"),
        ({"data": [IMAGES]}, "data must yield pairs"),
        ({"data": [(IMAGES[0], LABELS)]}, r"images must be a tensor \[N, C, H, W\]"),
        ({"data": [((IMAGES * 255).byte(), LABELS)]}, "divide by 255"),
        ({"data": [(IMAGES, LABELS[:3])]}, "one label and one output per image, got 4 images"),
        ({"data": [(IMAGES, LABELS + 3)]}, "label 6 doesn't exist for a model with 6 outputs"),
        ({"data": [(IMAGES, LABELS - 1)]}, "label -1 doesn't exist"),
        ({"data": [(IMAGES, LABELS.float())]}, "labels must be class numbers"),
        ({"models": {"m": lambda x: x}}, r"must return class scores \[N, classes\]"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_rejects(net, arguments, sentence) -> None:
    given = {"models": net, "data": [(IMAGES, LABELS)], "cutoffs": [4], **arguments}
    with pytest.raises(InputError, match=sentence) as error:
        sweep(given.pop("models"), given.pop("data"), given.pop("cutoffs"), progress=False, **given)
    assert "\n" not in str(error.value)


def test_published_radii_beyond_the_corner_mean_everything(net, images, labels) -> None:
    """Wang et al. evaluate r = 28 on 32x32 images, whose corner lies at 22.6."""
    wide = torch.nn.functional.interpolate(images, scale_factor=2)
    result = sweep(net, [(wide, labels)], [28], keep_predictions=True, progress=False)
    low, everything = ("TinyNet", "low", 28), ("TinyNet", "none", None)
    assert torch.equal(result.predictions[low], result.predictions[everything])


def test_warns_about_pixels_outside(net) -> None:
    with pytest.warns(UserWarning, match=r"pixels should lie in \[0, 1\]"):
        sweep(net, [(IMAGES * 255, LABELS)], [4], progress=False)


def test_default_cutoffs() -> None:
    assert default_cutoffs((48, 48), "bins") == [2, 4, 6, 8, 12, 16, 20, 24]
    assert default_cutoffs((4, 4), "bins") == [1, 2]
    expected = [0.04, 0.08, 0.12, 0.17, 0.25, 0.33, 0.42, 0.5]
    assert default_cutoffs((48, 32), "cycles") == expected
    assert Condition("low", 2.0) == ("low", 2.0)


# --- memory ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("cutoffs_at_once", "calls"), [(1, [1] * 5), (2, [2, 2, 1]), (5, [5])])
def test_how_many_cutoffs_share_a_transform_shows_nowhere(
    net, loader, monkeypatch, cutoffs_at_once, calls
) -> None:
    whole = sweep(net, loader, [1, 2, 3, 4, 5], keep_predictions=True, progress=False)
    made = []
    real = conditions.low_high2d
    monkeypatch.setattr(
        conditions, "low_high2d", lambda x, c, **o: made.append(len(c)) or real(x, c, **o)
    )
    per_cutoff = 3 * 5 * 3 * 16 * 16 * 4
    monkeypatch.setattr(conditions, "FILTERED_BYTES", cutoffs_at_once * per_cutoff)
    split = sweep(net, loader, [1, 2, 3, 4, 5], keep_predictions=True, progress=False)
    assert made[: len(calls)] == calls
    assert split.records == whole.records
    for key, classes in whole.predictions.items():
        assert torch.equal(split.predictions[key], classes)


def test_images_that_somebody_keeps_stay_as_they_are(net, loader) -> None:
    kept: list[tuple[Tensor, Tensor]] = []

    def model(images: Tensor) -> Tensor:
        kept.append((images, images.clone()))
        return net(images)

    net.eval()
    sweep(model, loader, CUTOFFS, progress=False)
    assert len(kept) == 5 * 7
    assert all(torch.equal(image, copy) for image, copy in kept)


def test_every_batch_has_the_same_memory_where_nobody_keeps_it(net, loader) -> None:
    places: list[int] = []

    def model(images: Tensor) -> Tensor:
        places.append(images.data_ptr())
        return net(images)

    net.eval()
    with torch.no_grad():
        sweep(model, loader, CUTOFFS, progress=False)
    batches = [places[start + 1 : start + 7] for start in range(0, 5 * 7, 7)]
    assert all(batch == batches[0] for batch in batches[:4])  # the last batch is smaller


def test_memory_of_outputs_and_labels_may_be_used_again(net, loader) -> None:
    """Scores wait to be counted; a captured graph, or a loader of its own, writes over them."""
    expected = sweep({"m": net}, loader, CUTOFFS, progress=False)
    outputs, numbers = torch.empty(5, 6), torch.empty(5, dtype=torch.int64)

    def model(images: Tensor) -> Tensor:
        return outputs[: len(images)].copy_(net(images))

    def batches() -> Iterator[tuple[Tensor, Tensor]]:
        for images, labels in loader:
            yield images, numbers[: len(labels)].copy_(labels)

    net.eval()
    assert sweep({"m": model}, batches(), CUTOFFS, progress=False).records == expected.records


# --- what is left out where nobody needs it -------------------------------------------------------


def test_weights_are_summed_for_a_file_only(net, loader, tmp_path, monkeypatch) -> None:
    asked = []
    # the package's attribute of this name is the function
    module = sys.modules["freqops.evaluation.sweep"]
    monkeypatch.setattr(module, "model_digest", lambda model: asked.append(model) or 0)
    sweep(net, loader, [4], progress=False)
    assert asked == []
    sweep(net, loader, [4], resume=tmp_path / "state", progress=False)
    assert asked == [net]


def test_autocast_around_a_sweep_does_not_reach_the_models(net, loader) -> None:
    seen = set()

    def model(images: Tensor) -> Tensor:
        seen.add(torch.is_autocast_enabled("cpu"))
        return net(images)

    net.eval()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        sweep(model, loader, [4], progress=False)
    assert seen == {False}
