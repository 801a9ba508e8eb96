"""The embedded default: 1,200 photograph patches in ten classes, and a small CNN trained on others.

    >>> from freqops import demo
    >>> from freqops.evaluation import sweep
    >>> result = sweep(demo.model(), demo.data(), [4, 8, 16])  # doctest: +SKIP

Sources, licences and the measured accuracy stand in README.md beside this file;
`examples/train_demo.py` makes every file here from the photographs.
"""

from freqops.demo.network import DemoNet, model
from freqops.demo.photographs import CLASSES, PATCH, data, images

__all__ = ["CLASSES", "PATCH", "DemoNet", "data", "images", "model"]
