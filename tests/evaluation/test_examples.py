"""The grid shows the images and answers of the sweep."""

import pytest
import torch
from torch.utils.data import DataLoader

from freqops.evaluation import InputError, example_grid, sweep


def test_grid_equals_the_sweep(net, loader, images, labels) -> None:
    result = sweep(net, loader, [2, 6], keep_predictions=True, progress=False)
    grid = example_grid(net, loader, [2, 6], rows=4)
    rows = [2, 8, 13, 19]
    assert torch.equal(grid.images[:, 0], images[rows])
    assert grid.labels.tolist() == labels[rows].tolist()
    assert grid.outputs == 6
    for column, condition in enumerate(grid.conditions):
        expected = result.predictions[("TinyNet", *condition)][rows]
        assert torch.equal(grid.predictions[:, column], expected)
    assert torch.allclose(grid.images[:, 1] + grid.images[:, 2], images[rows], atol=1e-6)
    assert (grid.confidences > 1 / 6).all()


def test_grid_of_any_iterable(net, loader, images) -> None:
    spread = example_grid(net, iter(list(loader)), [2], rows=4, samples=22)
    assert torch.equal(spread.images[:, 0], images[[2, 8, 13, 19]])
    first = example_grid(net, iter(list(loader)), [2], rows=3)
    assert torch.equal(first.images[:, 0], images[:3])
    few = example_grid(net, DataLoader(loader.dataset, batch_size=30), [2], rows=50)
    assert len(few.images) == 22
    with pytest.raises(InputError, match="holds no images"):
        example_grid(net, iter([]), [2])


def test_class_names(net, loader) -> None:
    grid = example_grid(net, loader, [2], rows=1, class_names=["ant", ""])
    assert [grid.class_name(i) for i in range(3)] == ["ant", "1", "2"]
    assert example_grid(net, loader, [2], rows=1).class_name(4) == "4"
