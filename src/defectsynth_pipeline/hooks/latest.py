"""`data/latest/`: what the last finished run made, to be opened without picking a version."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from defectsynth_pipeline.publishing import ASIDE, written_whole

LATEST = Path("data", "latest")


def point_to(target: Path, link: Path) -> Path:
    """Let a link lead to a file or folder, in place of an earlier one.

    Where the file system has no links a file is copied, and of a folder its place is written into
    a text file.

    Args:
        target: What was published.
        link: Where to open it.

    Returns:
        What a person opens: the link, or the text file.
    """
    link.parent.mkdir(parents=True, exist_ok=True)
    aside, told = link.with_name(f"{ASIDE}{link.name}"), link.with_name(f"{link.name}.txt")
    aside.unlink(missing_ok=True)
    try:
        aside.symlink_to(os.path.relpath(target, link.parent), target.is_dir())
        aside.replace(link)
        told.unlink(missing_ok=True)
        return link
    except OSError:
        aside.unlink(missing_ok=True)
    if target.is_dir():
        with written_whole(told) as written:
            written.write_text(f"{target}\n", encoding="utf-8")
        return told
    with written_whole(link) as written:
        shutil.copyfile(target, written)
    return link
