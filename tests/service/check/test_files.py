"""Store, journal and disk as `keeper check` sees them."""

import shutil
from collections import namedtuple
from collections.abc import Callable
from pathlib import Path

import pytest

from keeper.config.load import load
from keeper.config.settings import Settings
from keeper.journal.journal import Journal
from keeper.journal.segments import Closed
from keeper.service.check.files import files
from keeper.service.check.verdicts import Checked, Verdict
from keeper.store.store import Store
from tests.journal.cycles import fill

EXAMPLE = Path(__file__).resolve().parents[3] / "config" / "example.toml"
Usage = namedtuple("Usage", "total used free")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    (tmp_path / "keeper.toml").write_text(EXAMPLE.read_text())
    return load(tmp_path / "keeper.toml", {})


def lines(settings: Settings) -> dict[str, Checked]:
    return {line.subject: line for line in files(settings)}


def live(settings: Settings) -> Settings:
    return settings.model_copy(update={"mode": "live"})


def test_before_the_first_start(settings: Settings, tmp_path: Path) -> None:
    found = lines(settings)
    assert {line.verdict for line in found.values()} <= {Verdict.OK, Verdict.WARN}
    assert found["store"].found == f"not there yet, will be made in {tmp_path}"
    assert found["journal"].found == f"not there yet, will be made in {tmp_path}"


def test_without_a_folder(tmp_path: Path) -> None:
    folder = tmp_path / "gone"
    folder.mkdir()
    (folder / "keeper.toml").write_text(EXAMPLE.read_text())
    settings = load(folder / "keeper.toml", {})
    shutil.rmtree(folder)
    found = lines(settings)
    assert {(line.verdict, line.remedy) for line in found.values()} == {(Verdict.FAIL, f"create {folder}")}


def test_a_store_of_the_mode(settings: Settings) -> None:
    with Store.open(settings.store.path, "live"):
        pass
    assert lines(live(settings))["store"].verdict is Verdict.OK
    assert lines(live(settings))["store"].found.startswith("live store, schema current")


def test_a_dry_run_store_in_live_mode(settings: Settings) -> None:
    with Store.open(settings.store.path, "dry-run"):
        pass
    assert lines(settings)["store"].verdict is Verdict.OK
    line = lines(live(settings))["store"]
    assert (line.verdict, line.found) == (Verdict.FAIL, "dry-run store")
    assert "a live start would be refused" in line.remedy


def test_a_file_that_is_no_store(settings: Settings) -> None:
    settings.store.path.write_text("no database")
    assert lines(settings)["store"].verdict is Verdict.FAIL


@pytest.mark.parametrize("name", ["store", "journal"])
def test_what_cannot_be_written(settings: Settings, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    with Store.open(settings.store.path, "dry-run"), Journal.open(settings.journal.path):
        pass
    path = settings.store.path if name == "store" else settings.journal.path
    # root may write everything
    monkeypatch.setattr("keeper.service.check.files._writable", lambda asked: asked != path)
    found = lines(settings)
    assert found[name].verdict is Verdict.FAIL
    assert "the right to write" in found[name].remedy
    assert found["journal" if name == "store" else "store"].verdict is Verdict.OK


def test_a_whole_journal(settings: Settings) -> None:
    fill(settings.journal.path, 3)
    line = lines(settings)["journal"]
    assert (line.verdict, line.found) == (Verdict.OK, f"14 records, whole: {settings.journal.path}")


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda path: Closed(journal=path, number=1).packed_path.unlink(), "segment 1 is missing"),
        (lambda path: path.write_bytes(path.read_bytes()[:-10] + b"\n"), "the last record"),
        (lambda path: Closed(journal=path, number=0).packed_path.write_bytes(b""), "segment 0 is empty"),
    ],
)
def test_a_damaged_journal(settings: Settings, damage: Callable[[Path], object], said: str) -> None:
    fill(settings.journal.path, 4)
    damage(settings.journal.path)
    line = lines(settings)["journal"]
    assert line.verdict is Verdict.FAIL
    assert said in line.found
    assert line.remedy == "keeper journal verify"


def test_a_long_journal_is_looked_at_and_not_read(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(settings.journal.path, 4)
    Closed(journal=settings.journal.path, number=1).packed_path.write_bytes(b"not looked at")
    monkeypatch.setattr("keeper.service.check.files.MOST_READ_BYTES", 1_000)
    line = lines(settings)["journal"]
    assert line.verdict is Verdict.OK
    assert line.found.endswith("in 4 files; the end fits, the rest was not read: keeper journal verify")


@pytest.mark.parametrize(
    ("free", "verdict"),
    [(2_000_000_000, Verdict.OK), (500_000_000, Verdict.WARN), (50_000_000, Verdict.FAIL)],
)
def test_room_on_the_disk(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, free: int, verdict: Verdict
) -> None:
    monkeypatch.setattr("keeper.service.check.files.shutil.disk_usage", lambda _: Usage(10**10, 0, free))
    line = lines(settings)["disk"]
    assert (line.verdict, line.found) == (verdict, f"{free / 1e9:.1f} GB free")
    assert ("keep_days" in line.remedy) == (verdict is not Verdict.OK)
