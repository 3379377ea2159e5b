"""The end of the file being written, looked at from behind: no start reads the whole of it."""

import os
from collections.abc import Generator
from itertools import islice
from pathlib import Path
from typing import Final

from keeper.journal.errors import JournalDamagedError
from keeper.journal.head import Head, read_head
from keeper.journal.line import UnfitLineError, from_line

_BLOCK: Final = 1 << 16


def cut_torn_line(file: int) -> int:
    """Cut off an incomplete last line. Returns its length, 0 as a rule."""
    size = os.fstat(file).st_size
    torn = len(next(pieces_from_end(file)))
    if torn:
        os.ftruncate(file, size - torn)
        os.fsync(file)
    return torn


def checked_end(path: Path, file: int) -> Head | None:
    """Return the end of the chain, which must be at or just after the head kept beside it.

    Raises `JournalDamagedError`.
    """
    kept = read_head(path)
    line = next(islice(pieces_from_end(file), 1, None), None)
    if line is None:
        if kept is not None:
            raise JournalDamagedError(path, 0, f"all {kept.sequence + 1} records are missing")
        return None
    try:
        record, own_hash = from_line(line)
    except UnfitLineError as error:
        raise JournalDamagedError(path, error.sequence or 0, f"the last record {error}") from error
    if kept is not None:
        if record.sequence < kept.sequence:
            raise JournalDamagedError(
                path, record.sequence + 1, f"records up to {kept.sequence} are missing at the end"
            )
        behind = record.sequence - kept.sequence
        # Of a head further behind, the links between are for `verify` to follow.
        joined = {0: own_hash, 1: record.previous}.get(behind, kept.hash)
        if joined != kept.hash:
            raise JournalDamagedError(path, kept.sequence, "it is not the record that was written")
    return Head(sequence=record.sequence, hash=own_hash)


def first_line(file: int) -> bytes:
    """Return the first line; empty where there is none yet."""
    read = b""
    while piece := os.pread(file, _BLOCK, len(read)):
        read += piece
        line, newline, _ = read.partition(b"\n")
        if newline:
            return line + newline
    return b""


def pieces_from_end(file: int) -> Generator[bytes]:
    """Yield what stands between newlines, last first: the torn line (as a rule empty), then each line."""
    position = os.fstat(file).st_size
    rest = b""
    while position > 0:
        length = min(max(_BLOCK, len(rest)), position)
        position -= length
        rest, *lines = (os.pread(file, length, position) + rest).split(b"\n")
        yield from reversed(lines)
    yield rest
