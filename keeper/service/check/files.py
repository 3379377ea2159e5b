"""Store, journal and disk."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from keeper.config.settings import Settings
from keeper.journal.errors import JournalDamagedError
from keeper.journal.glance import glance
from keeper.journal.verify import verify
from keeper.model.errors import ConfigError, TransientError
from keeper.service.check.verdicts import Checked, Section
from keeper.store.errors import StoreMissingError
from keeper.store.place import shown
from keeper.store.store import Store

MOST_READ_BYTES: Final = 64_000_000
"""Of a longer journal only the end is looked at: a check must not take minutes."""

LOW_BYTES: Final = 1_000_000_000
FULL_BYTES: Final = 100_000_000

_HERE: Final = Section("set-up")


def files(settings: Settings) -> Iterator[Checked]:
    """Yield what is found of the store, the journal, and the room that is left for them."""
    yield from _store(settings)
    yield _journal(settings.journal.path)
    place = settings.store.place
    folders = {settings.journal.path.parent} | ({place.parent} if isinstance(place, Path) else set())
    for folder in sorted(folders):
        if folder.is_dir():
            yield _disk(folder, several=len(folders) > 1)


def _store(settings: Settings) -> Iterator[Checked]:
    place = settings.store.place
    subject, expected = "store", f"a store for mode {settings.mode} that can be written"
    try:
        with Store.attach(place) as store:
            mode, leader = store.mode, store.leaders.leader()
    except StoreMissingError:
        assert isinstance(place, Path), "only a file can be missing"
        yield _to_be_made(subject, place.parent, "a folder to make it in")
        return
    except (ConfigError, TransientError) as error:
        yield _HERE.fail(subject, str(error), "a store that this version reads", "see [store]")
        return
    if settings.mode == "live" and mode != "live":
        remedy = "a live start would be refused: name another store under [store]"
        yield _HERE.fail(subject, f"{mode} store", expected, remedy)
    elif isinstance(place, Path) and not _writable(place):
        remedy = f"give the user that runs the keeper the right to write {place} and its folder"
        yield _HERE.fail(subject, f"{mode} store, which this user cannot write", expected, remedy)
    else:
        led = "nobody leads" if leader is None or leader.until_s is not None else f"{leader.name} led last"
        yield _HERE.ok(subject, f"{mode} store, schema current, {led}: {shown(place)}", expected)


def _journal(path: Path) -> Checked:
    subject, expected = "journal", "an unbroken chain that can be written"
    if not path.exists():
        return _to_be_made(subject, path.parent, "a folder to make it in")
    if not _writable(path):
        remedy = f"give the user that runs the keeper the right to write {path} and its folder"
        return _HERE.fail(subject, "this user cannot write it", expected, remedy)
    remedy = "keeper journal verify"
    try:
        seen = glance(path)
    except JournalDamagedError as error:
        return _HERE.fail(subject, str(error), expected, remedy)
    if seen.size_bytes > MOST_READ_BYTES:
        found = (
            f"{seen.size_bytes / 1e6:,.0f} MB in {seen.segments:,} files; the end fits, the rest was not read"
        )
        return _HERE.ok(subject, f"{found}: {remedy}", expected)
    verdict = verify(path)
    whole = "whole" if verdict.ok else f"damaged: {verdict.problems[0].text}"
    return _HERE.holds(verdict.ok, subject, f"{verdict.records:,} records, {whole}: {path}", expected, remedy)


def _disk(folder: Path, *, several: bool) -> Checked:
    free = shutil.disk_usage(folder).free
    subject = f"disk of {folder}" if several else "disk"
    found, expected = f"{free / 1e9:,.1f} GB free", f"{LOW_BYTES / 1e9:g} GB or more"
    remedy = "make room, or set journal.keep_days: a keeper whose disk is full sends nothing"
    if free < FULL_BYTES:
        return _HERE.fail(subject, found, expected, remedy)
    return _HERE.ok(subject, found, expected) if free >= LOW_BYTES else _HERE.warn(
        subject, found, expected, remedy
    )  # fmt: skip


def _to_be_made(subject: str, folder: Path, expected: str) -> Checked:
    if not folder.is_dir():
        return _HERE.fail(subject, f"no folder {folder}", expected, f"create {folder}")
    remedy = f"give the user that runs the keeper the right to write in {folder}"
    able = os.access(folder, os.W_OK | os.X_OK)
    found = f"not there yet, will be made in {folder}" if able else f"this user cannot write in {folder}"
    return _HERE.holds(able, subject, found, expected, remedy)


def _writable(path: Path) -> bool:
    return os.access(path, os.R_OK | os.W_OK) and os.access(path.parent, os.W_OK | os.X_OK)
