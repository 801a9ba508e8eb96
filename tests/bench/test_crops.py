"""The rows of spectral pooling: who takes part, what is counted, which goals; no times."""

from typing import Any

import pytest
import torch

import freqops
from freqops.bench import crops, peers, tables
from freqops.bench.case import Case
from freqops.bench.cases import flc_pool
from freqops.bench.crops import Crop, Rule
from freqops.bench.pooling_compositions import crop_matrix
from freqops.bench.timing import Contender, Timing, check_agreement

RULES = ["flc", "half", "sum"]
SHAPES = [(2, 3, 12, 16), (2, 3, 14, 12), (2, 3, 13, 17), (2, 3, 15, 12)]


def roles_of(row: Crop) -> dict[str, str]:
    return {one.name: one.role for one in row.contenders()}


@pytest.mark.parametrize("backward", [False, True])
@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("rule", RULES)
def test_peers_agree_and_others_run(
    rule: Rule, shape: tuple[int, int, int, int], layout: str, backward: bool
) -> None:
    row = Crop(shape, rule, layout, backward)
    contenders = row.contenders()
    check_agreement(contenders, 1e-5)
    roles = {one.name: one.role for one in contenders}
    assert {"matmul", "rfft2", "rfft, pruned"} <= {
        name for name, role in roles.items() if role == "peer"
    }
    assert ("matmul, corner" in roles) == (rule == "flc")
    assert ("scipy.signal" in roles) == (rule == "sum" and not backward and peers.has("scipy"))
    if rule == "flc":  # a size of 4 k + 2: every frequency of the published layer is a bin off
        assert roles["FLC layer"] == ("other" if 14 in shape else "peer")
    for one in contenders:
        one.run()


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize("rule", RULES)
def test_half_types_agree(rule: Rule, layout: str) -> None:
    row = Crop((2, 3, 12, 16), rule, layout, dtype=torch.bfloat16)
    check_agreement(row.contenders(), row.row().tolerance)


@pytest.mark.parametrize(("name", "height"), [("rfft2, one-sided", 12), ("FLC layer", 14)])
def test_others_compute_something_else(name: str, height: int) -> None:
    contenders = Crop((2, 3, height, 12), "flc").contenders()
    one = next(one for one in contenders if one.name == name)
    assert one.role == "other"
    with pytest.raises(AssertionError, match="differ"):
        check_agreement([contenders[0], Contender(name, one.run)], 1e-2)


def test_a_corner_of_four_bins_is_found_out() -> None:
    """What the two rules differ in is far above what the check lets pass, at every size shown."""
    for shape in crops.SHAPES:
        x = torch.rand(1, 8, *shape[2:])
        size = Crop(shape, "half").size
        if size[0] % 2:
            continue
        ours = Contender("freqops", lambda x=x: freqops.flc_pool2d(x), "ours")
        other = Contender("half", lambda x=x, size=size: freqops.spectral_pool2d(x, size))
        with pytest.raises(AssertionError, match="half and freqops differ"):
            check_agreement([ours, other], 1e-4)


@pytest.mark.parametrize(("old", "new"), [(8, 4), (9, 4), (10, 5), (12, 6), (7, 7)])
def test_matrices_are_the_crop(old: int, new: int) -> None:
    """Against the crop of a complex spectrum itself, in double precision."""
    x = torch.randn(3, old, dtype=torch.float64)
    spectrum = torch.fft.fftshift(torch.fft.fft(x, norm="forward"), -1)
    start = old // 2 - new // 2
    low = torch.fft.ifftshift(spectrum[:, start : start + new], -1)
    expected = torch.fft.ifft(low, norm="forward")
    actual = x.to(torch.complex128) @ crop_matrix(old, new).T
    torch.testing.assert_close(actual, expected, atol=1e-14, rtol=0)


def test_layouts_are_those_of_the_row() -> None:
    for layout, memory in (("NCHW", torch.contiguous_format), ("NHWC", torch.channels_last)):
        row = Crop((2, 4, 12, 12), layout=layout, backward=True)
        y, gradient = row.contenders()[0].run()
        assert y.is_contiguous(memory_format=memory)
        assert gradient.is_contiguous(memory_format=memory)


@pytest.mark.parametrize(
    ("shape", "rule", "elements"),
    [((2, 3, 8, 8), "half", 64 + 16), ((2, 3, 9, 9), "half", 81 + 25), ((2, 3, 9, 9), "flc", 97)],
)
def test_least_bytes(shape: tuple[int, int, int, int], rule: Rule, elements: int) -> None:
    for backward in (False, True):
        row = Crop(shape, rule, backward=backward)
        assert row.moved_bytes == 4 * 2 * 3 * elements * (1 + backward)
        floor = row.contenders()[-1]
        assert floor.role == "floor"
        assert 2 * floor.run().nbytes == row.moved_bytes


def test_goals_name_contenders_that_take_part() -> None:
    """A goal against nobody would fall back to the best of all peers without a word."""
    for shape in flc_pool.REACHED:
        row = Crop(shape)
        goals = flc_pool.goals(row)
        roles = roles_of(Crop((1, 1, *shape[2:])))
        assert [goal.against for goal in goals] == [("matmul",), ("FLC layer",)]
        assert all(roles[name] == "peer" for goal in goals for name in goal.against)
        for other in (
            Crop(shape, "half"),
            Crop(shape, layout="NHWC"),
            Crop(shape, backward=True),
            Crop(shape, dtype=torch.bfloat16),
        ):
            assert not flc_pool.goals(other)
    (middle,) = [shape for shape in flc_pool.REACHED if shape[-1] == 56]
    matmul, layer = flc_pool.goals(Crop(middle))
    assert (matmul.warm, layer.warm) == (5.5, 16.0)


def test_section_judges_against_the_goals() -> None:
    row = Crop((16, 64, 56, 56))
    names = {"freqops": 1.0, "FLC layer": 17.0, "matmul": 5.0, "matmul, corner": 3.0, "copy": 0.2}
    roles: dict[str, Any] = {"freqops": "ours", "copy": "floor"}
    contenders = [Contender(name, lambda: None, roles.get(name, "peer")) for name in names]
    listed = row.row(*flc_pool.goals(row))
    recorded = Case(listed, contenders).record(
        {name: Timing(value, value, 0, 1) for name, value in names.items()}
    )
    environment = dict.fromkeys(("date", "cpu", "cores", "load", "commit", "python"), "?")
    environment |= {"freqops": "?", "compiler": "?", "allocator": "warm", "level": "avx512"}
    result = {"environment": {**environment, "threads": 2, "suite": "spectral"}}
    text = tables.section({**result, "cases": [recorded]})
    assert text.startswith("### warm allocator, avx512, 2 threads: spectral")
    assert "5.5 **missed** (5.00) vs matmul; 16.0 met (17.00) vs FLC layer" in text
    assert "Goals met: 1 of 2" in text
    assert "| matmul, corner | 3.00 (3.00) |" in text
