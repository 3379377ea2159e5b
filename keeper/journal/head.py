"""The end of the chain, kept beside the journal: it shows when records are missing there."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_WIDTH: Final = 96


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """The last record."""

    sequence: int
    hash: str


def head_path(path: Path) -> Path:
    """Return where the head of a journal is kept."""
    return path.with_name(path.name + ".head")


def write_head(file: int, head: Head) -> None:
    """Overwrite the head in place. Always the same length, so that no crash leaves half of it."""
    os.pwrite(file, f"{head.sequence} {head.hash}".ljust(_WIDTH - 1).encode() + b"\n", 0)


def read_head(path: Path) -> Head | None:
    """Return the head kept beside a journal; None where there is none that can be read."""
    try:
        words = head_path(path).read_text(encoding="ascii").split()
    except (OSError, UnicodeDecodeError):
        return None
    if len(words) != 2 or not words[0].isdecimal():
        return None
    return Head(sequence=int(words[0]), hash=words[1])
