"""torchvision on a CPU-only torch: its model definitions, without its compiled ops."""

import functools
import importlib.util
from pathlib import Path

import torch

_OPS = (
    "nms",
    "qnms",
    "roi_align",
    "_roi_align_backward",
    "roi_pool",
    "_roi_pool_backward",
    "ps_roi_align",
    "_ps_roi_align_backward",
    "ps_roi_pool",
    "_ps_roi_pool_backward",
    "deform_conv2d",
    "_deform_conv2d_backward",
)


@functools.cache
def declare_missing() -> torch.library.Library | None:
    """Lets torchvision be imported where its compiled ops do not load.

    Its wheels are made for CUDA builds of torch; on a CPU build only those ops are missing, and of
    them only the schemas are needed, by the fake kernels it registers on import. No model
    definition calls one. Where the ops do load, nothing is declared and the real ones are used.
    Once for all who ask, and kept: the schemas go when the library object does.
    """
    spec = importlib.util.find_spec("torchvision")
    if spec is None or not spec.submodule_search_locations:
        return None
    libraries = list(Path(spec.submodule_search_locations[0]).glob("_C*.so"))
    try:
        for path in libraries:
            torch.ops.load_library(path)
    except OSError:
        libraries = []
    if libraries:
        return None
    library = torch.library.Library("torchvision", "DEF")
    for name in _OPS:
        library.define(f"{name}(Tensor x) -> Tensor")
    return library
