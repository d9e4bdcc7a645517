"""Which versions belong together: each made from the others' very versions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence


def belonging(
    versions: Mapping[str, Sequence[str]],
    made_from: Callable[[str, str], Mapping[str, str]],
    given: Mapping[str, str],
) -> dict[str, str] | None:
    """Choose one version of every entry, so that no two were made from different ones of a third.

    The entry that most lies behind has its newest version that leaves the others one, then the
    next; so what a run that failed has left is passed over where nothing was made from it.

    Args:
        versions: The versions of every entry, newest first, at least one.
        made_from: Of an entry and a version: all entries behind it and their versions; empty
            where that is not known.
        given: Versions that the user wants, whatever they belong to.

    Returns:
        Entry to version, or None if no choice belongs together.
    """
    offered = {name: [given[name]] if name in given else all_ for name, all_ in versions.items()}
    order = sorted(offered, key=lambda name: (-len(made_from(name, offered[name][0])), name))

    def choose(names: Sequence[str], known: Mapping[str, str]) -> dict[str, str] | None:
        if not names:
            return {}
        name, *others = names
        for version in offered[name]:
            behind = {name: version, **made_from(name, version)}
            told = {key: value for key, value in behind.items() if key not in given}
            if any(known.get(key, value) != value for key, value in told.items()):
                continue
            rest = choose(others, {**known, **told})
            if rest is not None:
                return {name: version, **rest}
        return None

    return choose(order, {})
