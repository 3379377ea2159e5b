"""Archives that mean harm write nothing."""

import contextlib
import io
import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeper.devnet import unpack as module
from keeper.devnet.errors import PackageUnsafeError
from keeper.devnet.unpack import unpack


def archive(path: Path, *members: tuple[str, bytes] | tarfile.TarInfo) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                tar.addfile(member)
                continue
            name, content = member
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return path


def special(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type = kind
    entry.linkname = target
    return entry


def program(name: str) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.mode = 0o6777  # set-user-id and world-writable: neither may survive
    return entry


GOOD = ("package/package.json", b"{}")


@pytest.mark.parametrize(
    "bad",
    [
        ("package/../../escaped", b"x"),
        ("/absolute/escaped", b"x"),
        ("../escaped", b"x"),
        ("package/a\\..\\..\\escaped", b"x"),
        ("beside", b"x"),
        special("package/link", tarfile.SYMTYPE, "/etc/passwd"),
        special("package/hard", tarfile.LNKTYPE, "package/package.json"),
        special("package/device", tarfile.CHRTYPE),
        special("package/pipe", tarfile.FIFOTYPE),
        GOOD,  # a second time
    ],
    ids=lambda bad: bad.name if isinstance(bad, tarfile.TarInfo) else bad[0],
)
def test_a_bad_member_anywhere_stops_all(bad: tuple[str, bytes] | tarfile.TarInfo, tmp_path: Path) -> None:
    target = tmp_path / "deep" / "target"
    with pytest.raises(PackageUnsafeError, match=r"p@1 holds .* nothing was unpacked"):
        unpack(archive(tmp_path / "a.tgz", GOOD, bad), target, package="p@1")
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["a.tgz"]


def test_an_archive_that_grows_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_UNPACKED_BYTES", 10_000)
    bomb = archive(tmp_path / "a.tgz", GOOD, ("package/zeros", bytes(10_001)))
    with pytest.raises(PackageUnsafeError, match="10000 bytes"):
        unpack(bomb, tmp_path / "target", package="p@1")
    assert not (tmp_path / "target").exists()


def test_only_what_is_wanted_is_written(tmp_path: Path) -> None:
    source = archive(
        tmp_path / "a.tgz",
        GOOD,
        ("package/LICENSE", b"MIT"),
        ("package/abi/One.json", b"1"),
        ("package/abi/deep/Two.json", b"22"),
        ("package/abifalse/Three.json", b"333"),
        ("package/index.js", b"4444"),
        ("package/index.js.map", b"55555"),
    )
    written = unpack(source, tmp_path / "t", package="p@1", keep=("abi/", "index.js"))
    found = {str(p.relative_to(tmp_path / "t")): p.read_bytes() for p in (tmp_path / "t").rglob("*.*")}
    assert found == {
        "package.json": b"{}",
        "abi/One.json": b"1",
        "abi/deep/Two.json": b"22",
        "index.js": b"4444",
    }
    assert (tmp_path / "t/LICENSE").read_text() == "MIT"
    assert written == len(b"{}MIT") + 1 + 2 + 4


def test_programs_stay_programs_and_nothing_more(tmp_path: Path) -> None:
    unpack(archive(tmp_path / "a.tgz", GOOD, program("package/bin/run")), tmp_path / "t", package="p@1")
    assert (tmp_path / "t/bin/run").stat().st_mode & 0o7777 == 0o755
    assert (tmp_path / "t/package.json").stat().st_mode & 0o7777 == 0o644


segments = st.sampled_from(["..", ".", "", "a", "b", "package", "~", "c:", "..."])


@given(st.lists(segments, min_size=1, max_size=6).map("/".join))
def test_no_name_writes_outside(tmp_path_factory: pytest.TempPathFactory, name: str) -> None:
    root = tmp_path_factory.mktemp("unpack")
    source = archive(root / "a.tgz", (name or "x", b"x"))
    with contextlib.suppress(PackageUnsafeError, IsADirectoryError):
        unpack(source, root / "in" / "target", package="p@1")
    outside = [p for p in root.rglob("*") if p.is_file() and "target" not in p.parts and p != source]
    assert outside == []
