"""Changes of whole models, in place: what downsamples becomes anti-aliased."""

from freqops.surgery.antialiasing import antialias
from freqops.surgery.conversion import Conversion
from freqops.surgery.records import Cost, Row, SiteCost
from freqops.surgery.sites.site import Site

__all__ = ["Conversion", "Cost", "Row", "Site", "SiteCost", "antialias"]
