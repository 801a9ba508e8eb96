"""Every DATA form gives the right pixels and labels, and every mistake its sentence."""

import io
import pickle
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from freqops import demo
from freqops.evaluation import InputError, load_data
from freqops.evaluation.images import Geometry

RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, (6, 10, 8, 3), dtype=np.uint8)
LABELS = np.array([2, 0, 1, 1, 0, 2])


def everything(data) -> tuple[torch.Tensor, list[int]]:
    images, labels = zip(*data.batches, strict=True)
    return torch.cat(images), torch.cat([torch.as_tensor(each) for each in labels]).tolist()


def expected(pixels: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(pixels.transpose(0, 3, 1, 2).astype(np.float32) / 255)


def test_demo() -> None:
    data = load_data()
    images, labels = everything(data)
    assert (data.name, data.samples, data.size) == ("demo", 1200, (48, 48))
    assert data.class_names == list(demo.CLASSES)
    assert images.shape == (1200, 3, 48, 48)
    assert images.min() >= 0
    assert images.max() <= 1
    assert np.bincount(labels).tolist() == [120] * 10


# --- .npz -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("names", [("images", "labels"), ("x_test", "y_test")])
@pytest.mark.parametrize("layout", ["NHWC", "NCHW", "float", "grey"])
def test_npz(tmp_path: Path, names: tuple[str, str], layout: str) -> None:
    stored, pixels = PIXELS, PIXELS
    if layout == "NCHW":
        stored = PIXELS.transpose(0, 3, 1, 2)
    if layout == "float":
        stored = PIXELS.astype(np.float64) / 255
    if layout == "grey":
        stored, pixels = PIXELS[..., 0], PIXELS[..., :1]
    path = tmp_path / "set.npz"
    np.savez(path, **{names[0]: stored, names[1]: LABELS[:, None]})
    data = load_data(str(path), batch_size=4)
    images, labels = everything(data)
    assert torch.allclose(images, expected(pixels), atol=1e-7)
    assert labels == LABELS.tolist()
    assert (data.name, data.samples, data.class_names, data.size) == ("set", 6, None, (10, 8))


def test_limit_is_spread_over_the_data(tmp_path: Path) -> None:
    np.savez(tmp_path / "set.npz", images=PIXELS, labels=np.arange(6), classes=list("abcdef"))
    data = load_data(str(tmp_path / "set.npz"), limit=3)
    assert everything(data)[1] == [0, 2, 5]
    assert (data.samples, data.class_names) == (3, list("abcdef"))


@pytest.mark.parametrize(
    ("arrays", "sentence"),
    [
        ({"pictures": PIXELS}, "needs arrays 'images' and 'labels', it holds pictures"),
        ({"images": PIXELS, "labels": LABELS[:5]}, "6 images but 5 labels"),
        ({"images": PIXELS, "labels": LABELS / 2}, r"labels must be whole numbers \[N\]"),
        ({"images": PIXELS[:, 0, 0], "labels": LABELS}, "images must be"),
        ({"images": PIXELS[..., :2], "labels": LABELS}, "with 1 or 3 channels"),
        ({"images": PIXELS.astype(float), "labels": LABELS}, r"must lie in \[0, 1\]"),
        ({"images": PIXELS.astype(np.int64), "labels": LABELS}, "uint8 or floating point"),
        ({"images": PIXELS[:0], "labels": LABELS[:0]}, "there are no images"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_bad_npz(tmp_path: Path, arrays: dict, sentence: str) -> None:
    np.savez(tmp_path / "set.npz", **arrays)
    with pytest.raises(InputError, match=sentence):
        load_data(str(tmp_path / "set.npz"))


def test_unreadable_npz(tmp_path: Path) -> None:
    (tmp_path / "set.npz").write_bytes(b"nonsense")
    with pytest.raises(InputError, match=r"can't be read as \.npz"):
        load_data(str(tmp_path / "set.npz"))
    np.savez(tmp_path / "set.npz", images=np.array([{}], dtype=object), labels=LABELS)
    with pytest.raises(InputError, match=r"can't be read as \.npz"):
        load_data(str(tmp_path / "set.npz"))


# --- folders --------------------------------------------------------------------------------------


def folder_of(root: Path, size: tuple[int, int] = (10, 8)) -> Path:
    for name, rows in (("ant", (0, 1)), ("bee", (2, 3, 4)), ("cow", (5,))):
        (root / name).mkdir(parents=True)
        for row in rows:
            picture = Image.fromarray(PIXELS[row]).resize(size[::-1], Image.Resampling.NEAREST)
            picture.save(root / name / f"{row}.png")
    return root


def test_folder(tmp_path: Path) -> None:
    data = load_data(str(folder_of(tmp_path / "animals")), workers=0)
    images, labels = everything(data)
    assert torch.equal(images, expected(PIXELS))
    assert labels == [0, 0, 1, 1, 1, 2]
    assert (data.name, data.class_names) == ("animals", ["ant", "bee", "cow"])


def test_folder_numbered_by_an_index(tmp_path: Path) -> None:
    index = {"ant": 7, "bee": 0, "cow": 3, "dog": 9}
    data = load_data(str(folder_of(tmp_path)), workers=0, class_index=index)
    assert everything(data)[1] == [7, 7, 0, 0, 0, 3]
    assert data.class_names is not None
    assert (data.class_names[7], data.class_names[1], len(data.class_names)) == ("ant", "", 8)
    with pytest.raises(InputError, match="no entry for folder 'cow'"):
        load_data(str(tmp_path), class_index={"ant": 7, "bee": 0})


def test_resize_and_crop(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, (40, 20))
    data = load_data(str(folder), workers=0, geometry=Geometry(resize=12, crop=8))
    picture = Image.open(folder / "ant" / "0.png").resize((12, 24), Image.Resampling.BILINEAR)
    pixels = np.asarray(picture)[8:16, 2:10]
    assert torch.equal(everything(data)[0][0], expected(pixels[None])[0])


def test_grey_and_palette_pictures_become_rgb(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    Image.fromarray(PIXELS[0, ..., 0]).save(tmp_path / "a" / "grey.png")
    Image.fromarray(PIXELS[1]).convert("P").save(tmp_path / "a" / "palette.gif")
    images, _ = everything(load_data(str(tmp_path), workers=0))
    assert images.shape == (2, 3, 10, 8)


def test_bad_folders(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file or folder"):
        load_data(str(tmp_path / "nothing"))
    with pytest.raises(InputError, match="no class subfolders"):
        load_data(str(tmp_path))
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "notes.txt").write_text("no picture")
    with pytest.raises(InputError, match="hold no images"):
        load_data(str(tmp_path))
    Image.fromarray(PIXELS[0]).save(tmp_path / "a" / "0.png")
    Image.fromarray(PIXELS[0][:5]).save(tmp_path / "a" / "1.png")
    with pytest.raises(InputError, match=r"images differ in size .* is 8x10, .*1.png is 8x5"):
        load_data(str(tmp_path))
    (tmp_path / "a" / "1.png").write_bytes(b"nonsense")
    with pytest.raises(InputError, match=r"1.png can't be read as an image \(no known image"):
        load_data(str(tmp_path))


@pytest.mark.parametrize("workers", [0, 1])
def test_truncated_picture_is_named(tmp_path: Path, workers: int) -> None:
    """Its header is fine: only decoding finds out, perhaps in a worker process."""
    (tmp_path / "a").mkdir()
    content = io.BytesIO()
    Image.fromarray(RNG.integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(content, "png")
    (tmp_path / "a" / "0.png").write_bytes(content.getvalue())
    (tmp_path / "a" / "1.png").write_bytes(content.getvalue()[:6000])
    data = load_data(str(tmp_path), workers=workers)
    with pytest.raises(InputError, match=r"1\.png can't be read as an image"):
        list(data.batches)


# --- torchvision's data sets ----------------------------------------------------------------------


def cifar_files(root: Path) -> np.ndarray:
    """The layout of CIFAR-10's and CIFAR-100's python versions, three images each."""
    planes = RNG.integers(0, 256, (3, 3, 32, 32), dtype=np.uint8)
    for folder, test, meta, labels, names in (
        ("cifar-10-batches-py", "test_batch", "batches.meta", "labels", "label_names"),
        ("cifar-100-python", "test", "meta", "fine_labels", "fine_label_names"),
    ):
        (root / folder).mkdir(parents=True)
        batch = {b"data": planes.reshape(3, -1), labels.encode(): [3, 0, 1]}
        (root / folder / test).write_bytes(pickle.dumps(batch, protocol=2))
        kinds = {names.encode(): [b"plane", b"car", b"bird", b"cat"]}
        (root / folder / meta).write_bytes(pickle.dumps(kinds, protocol=2))
    return planes


@pytest.mark.parametrize("name", ["CIFAR10", "CIFAR100"])
@pytest.mark.parametrize("inside", [False, True])
def test_cifar_on_disk(tmp_path: Path, name: str, inside: bool) -> None:
    planes = cifar_files(tmp_path)
    folder = {"CIFAR10": "cifar-10-batches-py", "CIFAR100": "cifar-100-python"}[name]
    data = load_data(f"torchvision:{name}@{tmp_path / folder if inside else tmp_path}")
    images, labels = everything(data)
    assert torch.equal(images, torch.from_numpy(planes).float() / 255)
    assert (labels, data.class_names) == ([3, 0, 1], ["plane", "car", "bird", "cat"])


def test_cifar_pickles_run_no_code(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple:
            return print, ("code ran",)

    cifar_files(tmp_path)
    path = tmp_path / "cifar-10-batches-py" / "test_batch"
    path.write_bytes(pickle.dumps({b"data": Evil()}))
    with pytest.raises(InputError, match="has no place in a CIFAR file"):
        load_data(f"torchvision:CIFAR10@{tmp_path}")


def test_other_torchvision_sets(tmp_path: Path) -> None:
    pytest.importorskip("torchvision")
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    digits = RNG.integers(0, 256, (4, 28, 28), dtype=np.uint8)
    for part in ("train", "t10k"):
        head = np.array([2051, 4, 28, 28], dtype=">i4").tobytes()
        (raw / f"{part}-images-idx3-ubyte").write_bytes(head + digits.tobytes())
        head = np.array([2049, 4], dtype=">i4").tobytes()
        (raw / f"{part}-labels-idx1-ubyte").write_bytes(head + bytes([7, 2, 1, 0]))
    data = load_data(f"torchvision:MNIST@{tmp_path}")
    images, labels = everything(data)
    assert torch.equal(images, torch.from_numpy(digits)[:, None].float() / 255)
    assert labels == [7, 2, 1, 0]
    assert data.class_names is not None
    assert data.class_names[7] == "7 - seven"


def test_bad_torchvision_words(tmp_path: Path) -> None:
    for word, sentence in (
        ("torchvision:CIFAR10", "say where the files are"),
        (f"torchvision:CIFAR10@{tmp_path}/no", "there is no folder"),
        (f"torchvision:CIFAR10@{tmp_path}", "there is no .*test_batch"),
    ):
        with pytest.raises(InputError, match=sentence):
            load_data(word)
    pytest.importorskip("torchvision")
    for word, sentence in (
        (f"torchvision:MNISTT@{tmp_path}", r"no data set 'MNISTT' \(did you mean"),
        (f"torchvision:MNIST@{tmp_path}", "Dataset not found"),
    ):
        with pytest.raises(InputError, match=sentence):
            load_data(word)


# --- factories ------------------------------------------------------------------------------------

FACTORIES = """
import torch
from torch.utils.data import TensorDataset
pixels = torch.rand(4, 3, 8, 8)
def dataset(): return TensorDataset(pixels, torch.arange(4))
def batches(): return [(pixels, torch.arange(4))]
def number(): return 3
def fails(): raise RuntimeError("no disk\\nsecond line")
"""


@pytest.fixture
def factories(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_data.py").write_text(FACTORIES)
    (tmp_path / "broken.py").write_text("import torch\n1 / 0\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.delitem(sys.modules, "my_data", raising=False)


@pytest.mark.usefixtures("factories")
def test_factories() -> None:
    data = load_data("my_data:dataset", batch_size=3)
    images, labels = everything(data)
    assert (images.shape, labels) == ((4, 3, 8, 8), [0, 1, 2, 3])
    assert (data.name, data.samples, data.size) == ("my_data:dataset", 4, (8, 8))
    assert everything(load_data("my_data:batches"))[1] == [0, 1, 2, 3]


@pytest.mark.usefixtures("factories")
@pytest.mark.parametrize(
    ("word", "sentence"),
    [
        ("my_data:datset", r"has no 'datset' \(did you mean dataset"),
        ("my_datas:dataset", "there is no module 'my_datas'"),
        ("my_data:number", "must return a Dataset or an iterable"),
        ("my_data:fails", "the factory failed: RuntimeError: no disk$"),
        ("broken:dataset", "importing broken failed: ZeroDivisionError"),
        ("demoo", r"no such file or folder; DATA is demo, .* \(did you mean demo\?\)"),
        ("broken.py", "neither a folder nor an .npz file"),
    ],
)
def test_bad_words(word: str, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence) as error:
        load_data(word)
    assert "\n" not in str(error.value)


@pytest.mark.usefixtures("factories")
def test_bad_numbers() -> None:
    for options, sentence in (
        ({"batch_size": 0}, "batch size must be at least 1"),
        ({"limit": 0}, "limit must be at least 1"),
    ):
        with pytest.raises(InputError, match=sentence):
            load_data("demo", **options)
    with pytest.raises(InputError, match="a limit needs a Dataset"):
        load_data("my_data:batches", limit=2)
