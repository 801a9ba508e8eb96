"""selection: which sites a user means."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from freqops.surgery.sites.site import Site

Predicate: TypeAlias = Callable[[Site], bool]
Selection: TypeAlias = "str | Iterable[str] | Predicate | None"


@dataclass(frozen=True)
class _Chooser:
    """Whether a site was named."""

    argument: str  # with the operation's name, for messages
    patterns: tuple[str, ...] = ()
    predicate: Predicate | None = None

    def __call__(self, site: Site) -> bool:
        if self.predicate is not None:
            return bool(self.predicate(site))
        return any(_matches(site.name, pattern) for pattern in self.patterns)

    def check(self, sites: Iterable[Site]) -> None:
        """A name that means nothing is a mistake."""
        names = [site.name for site in sites]
        for pattern in self.patterns:
            if not any(_matches(name, pattern) for name in names):
                raise ValueError(
                    f"{self.argument} must name sites of the model, got "
                    f"{pattern!r}; they are {', '.join(map(repr, names)) or 'none'}"
                )


def _matches(name: str, pattern: str) -> bool:
    return fnmatch.fnmatchcase(name, pattern) or name.startswith((f"{pattern}.", f"{pattern}:"))


def _chooser(argument: str, selection: Selection) -> _Chooser:
    if isinstance(selection, str):
        return _Chooser(argument, (selection,))
    if callable(selection):
        return _Chooser(argument, predicate=selection)
    names = tuple(selection) if isinstance(selection, Iterable) else (selection,)
    for name in names:
        if not isinstance(name, str):
            raise TypeError(
                f"{argument} must be a name, several, or a predicate of a site, got "
                f"{type(name).__name__}"
            )
    return _Chooser(argument, names)  # type: ignore[arg-type]


def selected(
    op: str, sites: Sequence[Site], include: Selection, exclude: Selection
) -> dict[str, str]:
    """Why a site isn't chosen, by name; "" if it is.

    Args:
        op: name in messages.
        sites: to choose from.
        include: only these; None for all there is no doubt about.
        exclude: none of these.

    Raises:
        TypeError: a selection is neither names nor a predicate.
        ValueError: a name means no site.
    """
    included = None if include is None else _chooser(f"{op}: include", include)
    excluded = None if exclude is None else _chooser(f"{op}: exclude", exclude)
    for chooser in (included, excluded):
        if chooser is not None:
            chooser.check(sites)
    reasons = {}
    for site in sites:
        if excluded is not None and excluded(site):
            reasons[site.name] = "excluded"
        elif included is not None:
            reasons[site.name] = "" if included(site) else "not included"
        else:
            reasons[site.name] = site.doubt
    return reasons
