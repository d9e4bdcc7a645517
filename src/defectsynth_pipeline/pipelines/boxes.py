"""The boxes that Kedro-Viz draws, and the slices that `kedro run --tags` takes."""

from __future__ import annotations

from collections.abc import Iterable

from kedro.pipeline import Node, Pipeline

SLICES = {
    "shape": "stage 1: area ratios and masks",
    "appearance": "stage 2: what is learnt, chosen, planned and rendered",
    "judgement": "the detectors and the verdict",
    "training": "what takes long, or a GPU",
    "pictures": "every picture and summary, drawn again from what is there",
}
"""What each tag selects."""


def boxed(name: str, nodes: Iterable[Node], tags: str | Iterable[str] = ()) -> Pipeline:
    """Nodes in a box of Kedro-Viz; entries keep their names, whatever box they are made in.

    Args:
        name: Of the box, and of the namespace; not that of an entry, which would be seen twice.
        nodes: What is in it.
        tags: Of `SLICES`.
    """
    return Pipeline(nodes, namespace=name, prefix_datasets_with_namespace=False, tags=tags)


def pictures(nodes: Iterable[Node]) -> Pipeline:
    """What is only looked at, in one box of its own.

    A box that is shut shows what is read outside it: drawn within the box that makes them, the
    images themselves would be hidden.
    """
    return boxed("reporting", nodes, tags="pictures")
