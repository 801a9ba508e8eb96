"""The rows of anti-aliased pooling: who takes part, what is counted, which goals; no times."""

import pytest
import torchvision_ops

from freqops.bench.cases import blur_pool, max_blur_pool
from freqops.bench.pools import LARGE, MIDDLE, SHAPES, Blur
from freqops.bench.timing import Contender, check_agreement
from freqops.bench.ways import FORMATS

_torchvision_library = torchvision_ops.declare_missing()  # timm's layers load torchvision


def contenders_of(row: Blur) -> dict[str, Contender]:
    return {one.name: one for one in row.contenders()}


@pytest.mark.parametrize("backward", [False, True])
@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize(("taps", "window"), [(3, 1), (4, 1), (7, 1), (3, 2), (4, 2)])
def test_peers_agree_and_others_run(taps: int, window: int, layout: str, backward: bool) -> None:
    row = Blur((2, 4, 12, 12), taps, layout, window, backward)
    contenders = row.contenders()
    check_agreement(contenders, 1e-5)
    roles = {one.name: one.role for one in contenders}
    assert roles["torch"] == "peer"
    assert ("torch NHWC" in roles) == (layout == "NCHW")
    if "timm" in roles:  # it pads even filters otherwise
        assert roles["timm"] == ("other" if taps == 4 else "peer")
    assert roles.get("kornia (zeros)", "other") == "other"
    for one in contenders:
        one.run()


def test_gradient_rows_compare_gradients() -> None:
    """A peer whose outputs are right and whose gradient is not is found out."""
    row = Blur((2, 4, 12, 12), 3, "NCHW", 2, backward=True)
    ours, *_ = row.contenders()
    y, gradient = ours.run()
    wrong = Contender("wrong", lambda: (y, gradient + 0.1))
    with pytest.raises(AssertionError, match="wrong and freqops differ"):
        check_agreement([ours, wrong], 1e-4)


def test_layouts_are_those_of_the_row() -> None:
    for layout, memory in FORMATS.items():
        row = Blur((2, 4, 12, 12), 3, layout, backward=True)
        y, gradient = contenders_of(row)["freqops"].run()
        assert y.is_contiguous(memory_format=memory)
        assert gradient.is_contiguous(memory_format=memory)


@pytest.mark.parametrize(
    ("window", "backward", "elements"),
    [
        (1, False, 64 + 16),
        (1, True, 2 * (64 + 16)),
        (2, False, 64 + 16),
        (2, True, 2 * (64 + 16) + 64),  # x once more, for where the maxima were
    ],
)
def test_least_bytes(window: int, backward: bool, elements: int) -> None:
    row = Blur((2, 3, 8, 8), 3, "NCHW", window, backward)
    assert row.moved_bytes == 4 * 2 * 3 * elements
    floor = row.contenders()[-1]
    assert floor.role == "floor"
    assert 2 * floor.run().nbytes == row.moved_bytes


def test_goals_name_contenders_that_take_part() -> None:
    """A goal against nobody would fall back to the best of all peers without a word."""
    for module, window in ((blur_pool, 1), (max_blur_pool, 2)):
        for shape in SHAPES:
            for layout in FORMATS:
                small = Blur((1, 2, 12, 12), 3, layout, window)
                names = {*contenders_of(small), "compiled"}
                row = Blur(shape, 3, layout, window)
                goals = [*module.forward_goals(row), *module.gradient_goals(row)]
                assert goals or shape not in (LARGE, MIDDLE)
                for goal in goals:
                    assert names & set(goal.against), (row.table, goal)
