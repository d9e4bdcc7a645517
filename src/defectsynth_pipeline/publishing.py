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
_NOT_PERMITTED = (errno.EACCES, errno.EPERM)


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


def cannot_write(error: BaseException, target: Path | None = None) -> InputError | None:
    """What to tell a user of an error in writing: a full disk, a limit, or a read-only folder.

    Args:
        error: What was raised.
        target: What was written; a file elsewhere that is not permitted was only to be read.
    """
    code = error.errno if isinstance(error, OSError) else None
    file = Path(getattr(error, "filename", None) or target or ".")
    before: BaseException | None = error
    while before is not None:  # safetensors has errors of its own, torch hides what was raised
        named = (
            number for number in (errno.ENOSPC, errno.EFBIG) if os.strerror(number) in str(before)
        )
        code = next(named, code)
        before = before.__context__
    if code in (errno.ENOSPC, errno.EDQUOT):
        problem = "the disk is full; nothing was published and what is finished is kept"
        remedy = "free some space and run the same command again: it makes only the rest"
    elif code == errno.EFBIG:
        problem = "a file is larger than may be written here; nothing was published"
        remedy = "raise the limit (ulimit -f), or take a file system for large files, and run again"
    elif code == errno.EROFS or (code in _NOT_PERMITTED and target and _is_near(file, target)):
        problem = "the folder cannot be written to; nothing was published"
        remedy = "make it writable for you, or run in a project folder that is"
    else:
        return None
    return InputError(problem, file=file, value=os.strerror(code), remedy=remedy)


def _is_near(file: Path, target: Path) -> bool:
    """Whether a file is in the way to a target or below it: others were only read."""
    return file in target.parents or target.parent in file.parents or target == file


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
