"""freqops.evaluation.memory: memory that is used again."""

import pytest
import torch

from freqops.evaluation.memory import ReusedMemory


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16], ids=str)
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last], ids=str)
def test_slabs_are_laid_out_like_images(dtype: torch.dtype, layout: torch.memory_format) -> None:
    memory = ReusedMemory()
    like = torch.rand(2, 3, 5, 4).to(dtype).contiguous(memory_format=layout)
    lent = memory.lend((6, *like.shape), like)
    assert lent.shape == (6, 2, 3, 5, 4)
    assert lent.dtype == dtype
    assert lent.data_ptr() % 64 == 0
    assert lent[5].stride() == like.stride()
    lent.copy_(like.expand_as(lent))
    assert all(torch.equal(slab, like) for slab in lent)


def test_memory_is_used_again_where_nobody_holds_it() -> None:
    memory, like = ReusedMemory(), torch.rand(1, 3, 8, 8)
    first = memory.lend((4, *like.shape), like).data_ptr()
    assert memory.lend((4, *like.shape), like).data_ptr() == first
    assert memory.lend((2, *like.shape), like).data_ptr() == first
    whole = memory.lend((4, *like.shape), like)
    view = whole[1, :, 0].mT
    place = whole.data_ptr()
    del whole
    other = memory.lend((4, *like.shape), like)
    assert other.data_ptr() != place == first
    view.fill_(3)
    other.zero_()
    assert bool((view == 3).all())
    del view
    place = other.data_ptr()
    del other
    assert memory.lend((4, *like.shape), like).data_ptr() == place


def test_nothing_and_more_than_before() -> None:
    memory, like = ReusedMemory(), torch.rand(1, 3, 8, 8)
    assert memory.lend((0, *like.shape), like).shape == (0, 1, 3, 8, 8)
    lent = memory.lend((64, *like.shape), like)
    assert lent.fill_(1).sum() == lent.numel()
