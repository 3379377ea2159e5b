"""Unpack an npm archive without trusting it: plain files only, inside the target folder, of bounded size."""

import stat
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Final

from keeper.devnet.errors import PackageUnsafeError

MAX_UNPACKED_BYTES: Final = 512 * 2**20
"""Ten times the largest package of the lock: an archive that grows past it is not one of ours."""

_ALWAYS: Final = ("package.json", "LICENSE")


def unpack(archive: Path, target: Path, *, package: str, keep: Sequence[str] = ()) -> int:
    """Write the archive's files under `target`, without their first folder, and return the bytes written.

    `keep` names the files, or folders ending in "/", that are wanted; empty means all. The manifest and the
    licence are always kept. Every member is judged before the first byte is written.

    Raises `PackageUnsafeError` for links, devices, absolute paths, paths that climb out of the folder,
    two members of one name, and archives beyond `MAX_UNPACKED_BYTES`.
    """
    with tarfile.open(archive, "r:gz") as tar:
        wanted = list(_judged(tar, package, keep))
        for member, relative in wanted:
            path = target / relative
            path.parent.mkdir(parents=True, exist_ok=True)
            source = tar.extractfile(member)
            assert source is not None  # `_judged` lets regular files through only
            with source, path.open("wb") as sink:
                while chunk := source.read(1 << 20):
                    sink.write(chunk)
            path.chmod(0o755 if member.mode & stat.S_IXUSR else 0o644)
    return sum(member.size for member, _ in wanted)


def _judged(
    tar: tarfile.TarFile, package: str, keep: Sequence[str]
) -> Iterator[tuple[tarfile.TarInfo, PurePosixPath]]:
    """Yield the wanted regular files with their path inside the package, after looking at all members."""
    seen: set[PurePosixPath] = set()
    wanted: list[tuple[tarfile.TarInfo, PurePosixPath]] = []
    total = 0
    for member in tar:
        path = PurePosixPath(member.name)
        if path.is_absolute() or ".." in path.parts or "\\" in member.name or "\0" in member.name:
            raise PackageUnsafeError(package, member.name, "points outside its folder")
        if member.isdir():
            continue
        if not member.isreg():
            raise PackageUnsafeError(package, member.name, "is not a plain file")
        if len(path.parts) < 2:
            raise PackageUnsafeError(package, member.name, "lies beside the package folder")
        relative = PurePosixPath(*path.parts[1:])
        if relative in seen:
            raise PackageUnsafeError(package, member.name, "appears twice")
        seen.add(relative)
        total += member.size
        if total > MAX_UNPACKED_BYTES:
            raise PackageUnsafeError(package, member.name, f"takes it past {MAX_UNPACKED_BYTES} bytes")
        if not keep or str(relative) in _ALWAYS or any(_matches(str(relative), k) for k in keep):
            wanted.append((member, relative))
    yield from wanted


def _matches(relative: str, pattern: str) -> bool:
    return relative.startswith(pattern) if pattern.endswith("/") else relative == pattern
