"""Closing a segment and beginning the next, so that a crash at any step leaves a whole journal.

| step | a crash after it leaves | the next start |
| --- | --- | --- |
| the new segment is written as `.next`, with its first record | a file that nobody reads | removes it |
| the full one gets its closed name too | one file with two names | takes the closed name away |
| `.next` takes the place of the file being written | the new state | compresses the closed one |
| the closed one is compressed as `.part` | a file that nobody reads | removes it, compresses again |
| `.part` is read back and gets its name | the segment twice | removes the one that is not compressed |

There is a file being written at every moment, so a reader needs no lock.
"""

import gzip
import hashlib
import os
import shutil
import threading
from collections.abc import Callable
from contextlib import suppress
from io import BufferedIOBase
from pathlib import Path
from typing import Final

from keeper.journal.segments import UNREADABLE, Closed, closed_segments, next_path, sync_folder

STEPS: Final = (
    "segment.written", "segment.linked", "segment.replaced", "segment.packed", "segment.named",
    "segment.noted", "segment.removed",
)  # fmt: skip
"""Boundaries at which a test ends the process; the last two are those of `retention`."""

_LEVEL: Final = 6
_BLOCK: Final = 1 << 20


def begin(journal: Path, closing: int, first_line: bytes, crash_at: Callable[[str], None]) -> int:
    """Give the file being written its closed name, and put a new one with this first line in its place.

    Returns the new one, open for appending. Raises `OSError`: then everything is as it was.
    """
    fresh, closed = next_path(journal), Closed(journal=journal, number=closing).path
    file = os.open(fresh, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC, 0o644)
    try:
        written = os.write(file, first_line)
        while written < len(first_line):
            written += os.write(file, first_line[written:])
        os.fsync(file)
        crash_at("segment.written")
        os.link(journal, closed)
        try:
            crash_at("segment.linked")
            fresh.replace(journal)
        except OSError:
            closed.unlink()
            raise
    except OSError:
        os.close(file)
        with suppress(OSError):
            fresh.unlink()
        raise
    crash_at("segment.replaced")
    return file


def tidy(journal: Path, writing: int) -> None:
    """Remove what a crash in a rotation left. `writing` is the number of the segment being written.

    Raises `OSError`.
    """
    next_path(journal).unlink(missing_ok=True)
    for closed in closed_segments(journal):
        part_path(closed).unlink(missing_ok=True)
        if closed.path.exists():
            begun = closed.number >= writing and closed.path.samefile(journal)
            if begun or closed.packed_path.exists():
                closed.path.unlink()


def part_path(closed: Closed) -> Path:
    """Return where a segment is being compressed."""
    return closed.packed_path.with_name(closed.packed_path.name + ".part")


def pack(closed: Closed, crash_at: Callable[[str], None]) -> None:
    """Compress a closed segment. Raises `OSError`: then it stays as it is, which is harmless."""
    part = part_path(closed)
    try:
        with closed.path.open("rb") as plain, part.open("wb") as raw:
            with gzip.GzipFile("", "wb", _LEVEL, raw, mtime=0) as packed:
                shutil.copyfileobj(plain, packed, _BLOCK)
            raw.flush()
            os.fsync(raw.fileno())
            plain.seek(0)
            with gzip.open(part, "rb") as again:
                same = _sum(again) == _sum(plain)
        if not same:
            raise OSError("the compressed segment does not read back as it was")
    except (OSError, *UNREADABLE):
        part.unlink(missing_ok=True)
        raise
    crash_at("segment.packed")
    part.replace(closed.packed_path)
    sync_folder(closed.journal)
    crash_at("segment.named")
    closed.path.unlink()


class Packing:
    """Compresses closed segments beside whoever writes the journal."""

    def __init__(self, journal: Path, crash_at: Callable[[str], None]) -> None:
        self._journal = journal
        self._crash_at = crash_at
        self._thread: threading.Thread | None = None

    def start(self, writing: int) -> None:
        """Begin with every closed segment before `writing` that is not compressed yet."""
        self.wait()
        waiting = [c for c in closed_segments(self._journal) if c.number < writing and c.path.exists()]
        if waiting:
            # daemon: it can be taken up again at the next start
            self._thread = threading.Thread(
                target=self._pack_all, args=(waiting,), name="journal-packing", daemon=True
            )
            self._thread.start()

    def wait(self) -> None:
        """Return when nothing is being compressed."""
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def _pack_all(self, waiting: list[Closed]) -> None:
        # A disk that is too full for it now may not be at the next rotation.
        with suppress(OSError, *UNREADABLE):
            for closed in waiting:
                pack(closed, self._crash_at)


def _sum(file: BufferedIOBase) -> bytes:
    found = hashlib.sha256()
    while block := file.read(_BLOCK):
        found.update(block)
    return found.digest()
