"""Changes of whole models, in place: downsampling anti-aliased, convolutions by FFT, or cut."""

from freqops.surgery.accelerating import accelerate, band_limit
from freqops.surgery.antialiasing import antialias
from freqops.surgery.conversion import Conversion
from freqops.surgery.records import Cost, Row, SiteCost
from freqops.surgery.sites.site import Site

__all__ = [
    "Conversion",
    "Cost",
    "Row",
    "Site",
    "SiteCost",
    "accelerate",
    "antialias",
    "band_limit",
]
