"""What only the even_odd form of the filter does: one plane per block, or per cluster of blocks."""

import pytest
import torch
from kernels.cuda_replay import device, filtered, ops, takes
from kernels.test_cuda_replay import bits, draw_images, draw_response

SIZES = (112, 128, 160, 192, 224, 256, 320, 384, 480, 512)
IN_CLUSTERS = (256, 320, 384, 480, 512)
KILOBYTE = 1024


def test_chosen_where_two_planes_would_fill_a_multiprocessor() -> None:
    assert takes("plane", 128, 128)
    assert ops().fft_filter_form(128, 128) == "even_odd"
    assert takes("even_odd", 112, 112)
    assert ops().fft_filter_form(112, 112) == "plane"


@pytest.mark.parametrize("size", IN_CLUSTERS)
def test_clusters_are_asked_for(size: int) -> None:
    assert ops().fft_filter_form(size, size) == "even_odd"
    with device(clusters=False):
        assert not takes("even_odd", size, size)
        assert ops().fft_filter_form(size, size) == "lines"


@pytest.mark.parametrize(
    ("kilobytes", "fitting"), [(64, (112,)), (99, (112, 128)), (163, (112, 128, 160, 192))]
)
def test_devices_with_less_shared_memory(kilobytes: int, fitting: tuple[int, ...]) -> None:
    """Compute capability 7.5, 8.6 and 8.0."""
    with device(shared_bytes=kilobytes * KILOBYTE, clusters=False):
        assert tuple(size for size in SIZES if takes("even_odd", size, size)) == fitting


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("bank", [False, True], ids=["single", "bank"])
def test_nonfinite_plane_changes_no_bit_of_another(size: int, bank: bool) -> None:
    """Not even of those that the same block works on before and after it."""
    clean = draw_images(4, 1, size, size)
    response = draw_response(*([2] * bank), size, size // 2 + 1)
    x = clean.clone()
    x[1, 0, 0, 0] = torch.nan
    x[2, 0, -1, -1] = -torch.inf
    before = bits(filtered("even_odd", clean, response, bank=bank, high=True))
    after = filtered("even_odd", x, response, bank=bank, high=True)
    for old, new in zip(before, after, strict=True):
        assert not new[..., 1:3, :, :, :].isfinite().any()
        for image in (0, 3):
            assert torch.equal(old[..., image, 0, :, :], bits((new,))[0][..., image, 0, :, :])
