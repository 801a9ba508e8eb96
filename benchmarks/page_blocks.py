"""Tables and sentences of times in README.md and docs/, each between two marks of its page:

    <!-- benchmarks: NAME -->
    ...
    <!-- end of benchmarks: NAME -->

What stands there is made of committed results. Where a result is not there yet, the block stays as
it is, and has to say that it was measured once.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import convolution_blocks
import pooling_blocks
import speed_blocks
import whole_blocks
from kept import Kept

from freqops.bench.machine import ROOT

MARK = re.compile(
    r"<!-- benchmarks: (?P<name>[\w-]+) -->(?P<body>.*?)<!-- end of benchmarks: (?P=name) -->",
    re.DOTALL,
)
#: What a block without a result says of itself.
ONCE = "easured once"


@dataclass(frozen=True)
class Block:
    """What is between two marks.

    Attributes:
        page: that it is on, of the checkout.
        make: of the results; None where those it needs are not there yet.
        inline: whether it is a part of a sentence.
    """

    page: str
    make: Callable[[Kept], str | None]
    inline: bool = False


def pages() -> list[Path]:
    """Those that have blocks."""
    return [ROOT / page for page in dict.fromkeys(block.page for block in BLOCKS.values())]


def filled(text: str, path: Path, kept: Kept) -> str:
    """A page's text with what its blocks have to say.

    Args:
        text: of the page.
        path: of it.
        kept: the results.

    Raises:
        LookupError: a mark without a block, a block without a mark, or one that neither has a
            result nor says that it was measured once.
    """
    page = path.relative_to(ROOT).as_posix()
    due = {name for name, block in BLOCKS.items() if block.page == page}
    if found := due ^ {match["name"] for match in MARK.finditer(text)}:
        raise LookupError(f"{page}: marks and blocks differ in {', '.join(sorted(found))}")

    def fill(match: re.Match[str]) -> str:
        block = BLOCKS[match["name"]]
        made = block.make(kept)
        if made is None:
            if ONCE not in match["body"]:
                raise LookupError(f"{page}: {match['name']} has no result and does not say so")
            return match[0]
        body = made if block.inline else f"\n\n{made}\n\n"
        name = match["name"]
        return f"<!-- benchmarks: {name} -->{body}<!-- end of benchmarks: {name} -->"

    return MARK.sub(fill, text)


BLOCKS = {
    "speed": Block("README.md", speed_blocks.speed),
    "standing": Block("README.md", speed_blocks.standing),
    "memory": Block("README.md", speed_blocks.memory, inline=True),
    "pooling": Block("README.md", pooling_blocks.pooling),
    "whole": Block("README.md", whole_blocks.whole),
    "pooling-responses": Block("docs/pooling.md", pooling_blocks.pooling_responses),
    "depthwise": Block("docs/convolution.md", convolution_blocks.depthwise),
    "band-limited": Block("docs/convolution.md", convolution_blocks.band_limited),
    "accelerated": Block("docs/convolution.md", convolution_blocks.accelerated),
    "recipes": Block("docs/antialias.md", whole_blocks.recipes),
}
