"""How a file or a folder becomes visible: whole or not at all, whatever happens to the machine.

It is written aside, flushed to the disk, and moved into place by one rename, so that a reader finds
what was there before or what was written, never a part of it.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from defectsynth_pipeline.errors import InputError

ASIDE = ".partial-"


@contextmanager
def written_whole(target: Path) -> Iterator[Path]:
    """Give a path to write a file or a folder to, and publish it as `target` at the end.

    An error leaves nothing, neither aside nor at the target. What is there already is replaced.

    Args:
        target: Where the file or folder will be; its parents are made.

    Yields:
        A path in the same folder where nothing is.

    Raises:
        InputError: The disk is full, or the folder must not be written to.
    """
    aside = target.with_name(f"{ASIDE}{target.name}")
    was_there = target.parent.exists()
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _remove(aside)
        yield aside
        move_whole(aside, target)
    except BaseException as error:
        told = cannot_write(error, target)
        with suppress(OSError):
            _remove(aside)
            if not was_there:
                target.parent.rmdir()
        if told:
            raise told from error
        raise


def move_whole(source: Path, target: Path) -> None:
    """Flush a finished file or folder to the disk and let it appear as `target` at once."""
    for path in [*source.rglob("*"), source] if source.is_dir() else [source]:
        _flush(path)
    if target.is_dir():
        shutil.rmtree(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    source.replace(target)
    _flush(target.parent)


def cannot_write(error: BaseException, target: Path) -> InputError | None:
    """What to tell a user of an error in writing: a full disk or a folder that is read only."""
    code = error.errno if isinstance(error, OSError) else None
    if os.strerror(errno.ENOSPC) in str(error):
        code = errno.ENOSPC  # safetensors has errors of its own
    if code in (errno.ENOSPC, errno.EDQUOT):
        problem = "the disk is full; nothing was published and what is finished is kept"
        remedy = "free some space and run the same command again: it makes only the rest"
    elif code in (errno.EROFS, errno.EACCES, errno.EPERM):
        problem = "the folder cannot be written to; nothing was published"
        remedy = "make it writable for you, or run in a project folder that is"
    else:
        return None
    file = getattr(error, "filename", None) or target
    return InputError(problem, file=file, value=os.strerror(code), remedy=remedy)


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno != errno.EINVAL:  # some file systems cannot flush a folder
            raise
    finally:
        os.close(handle)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
