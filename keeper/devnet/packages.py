"""The npm packages that the local chains are built from: fetched once, verified against the lock, cached.

`python -m keeper.devnet.packages` fetches what is missing. Packages are fetched one by one with `npm pack`
instead of installed, because some name dependencies that no longer exist and none are needed.
"""

import base64
import hashlib
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

from keeper.devnet.errors import (
    DevnetError,
    PackageIntegrityError,
    PackageMissingError,
    PlatformError,
)
from keeper.devnet.npm import npm_command, pack
from keeper.devnet.unpack import unpack

LOCK: Final = Path(__file__).with_name("packages.lock")

_ANVIL: Final = "@foundry-rs/anvil-"
_AT_ONCE: Final = 3
_FETCHING: Final = ".fetch-"
_STAMP: Final = ".verified"

_SAFE: Final = tuple(
    f"build/artifacts/contracts/{folder}" for folder in
    ("GnosisSafe.sol/", "GnosisSafeL2.sol/", "Safe.sol/", "SafeL2.sol/", "libraries/", "proxies/")
)  # fmt: skip
_KEEP: Final[dict[str, tuple[str, ...]]] = {
    "@chainlink/contracts": ("abi/v0.7/MockV3Aggregator.json",),
    "@gnosis.pm/safe-contracts": _SAFE,
    "@lyrafinance/protocol": ("dist/artifacts/contracts/",),
    "@openzeppelin/contracts": ("build/contracts/ERC20PresetMinterPauser.json",),
    "@perp/curie-contract": ("artifacts/contracts/",),
    "@perp/perp-oracle-contract": ("artifacts/contracts/",),
    "@safe-global/safe-contracts": _SAFE,
    "@safe-global/safe-smart-account": _SAFE,
    "@uniswap/v3-core": ("artifacts/contracts/",),
    "viem": ("constants/contracts.ts",),
}
"""Files and folders worth unpacking; a package that is not named here is unpacked whole."""

Progress: TypeAlias = Callable[[str, int, int], None]
"""(what happened, bytes fetched so far, bytes to fetch in all)"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """One line of the lock."""

    name: str
    version: str
    size_bytes: int
    """Of the archive."""

    integrity: str
    """`sha512-` and the base64 of the archive's hash, as npm prints it."""

    def __str__(self) -> str:
        return f"{self.name}@{self.version}"

    @property
    def stamp(self) -> str:
        """Content of the file that says this package is here, verified, and unpacked as we want it."""
        return "\n".join((str(self), self.integrity, *_KEEP.get(self.name, ()), ""))


def read_lock(path: Path | None = None) -> tuple[Package, ...]:
    """Return the packages of the lock, in its order. Raises `DevnetError` for a line that is not one."""
    path = path or LOCK
    found: list[Package] = []
    for number, line in enumerate(path.read_text().splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        match line.split():
            case [name, version, size, integrity] if size.isdecimal() and integrity.startswith("sha512-"):
                found.append(Package(name=name, version=version, size_bytes=int(size), integrity=integrity))
            case _:
                raise DevnetError(f"{path}:{number} is not `name version bytes sha512-...`: restore it")
    return tuple(found)


def needed(lock: Sequence[Package], machine: str | None = None) -> tuple[Package, ...]:
    """Return the packages this machine needs: all but the nodes of other machines.

    With `KEEPER_ANVIL` set, no node package is needed at all. Raises `PlatformError` when the lock has no
    node for `machine` (default: this one).
    """
    machine = machine or this_machine()
    if "KEEPER_ANVIL" in os.environ:
        return tuple(p for p in lock if not p.name.startswith(_ANVIL))
    if all(p.name != _ANVIL + machine for p in lock):
        raise PlatformError(machine)
    return tuple(p for p in lock if not p.name.startswith(_ANVIL) or p.name == _ANVIL + machine)


def this_machine() -> str:
    """Return this machine as the node's packages name it, for example `linux-amd64`."""
    system = {"Windows": "win32"}.get(platform.system(), platform.system().lower())
    processor = {"x86_64": "amd64", "AMD64": "amd64", "aarch64": "arm64"}.get(platform.machine())
    return f"{system}-{processor or platform.machine()}"


def cache_folder() -> Path:
    """Return the folder that packages are kept in: `KEEPER_CACHE`, else the user's cache folder."""
    if named := os.environ.get("KEEPER_CACHE"):
        return Path(named) / "npm"
    from platformdirs import user_cache_path

    return user_cache_path("keeper") / "npm"


def folder_of(name: str) -> Path:
    """Return the folder of an unpacked package of the lock. Raises `PackageMissingError`."""
    package = next(p for p in read_lock() if p.name == name)
    path = _folder(cache_folder(), package)
    if not _is_ready(path, package):
        raise PackageMissingError(str(package), path)
    return path


def anvil_binary() -> Path:
    """Return the node's program: `KEEPER_ANVIL`, else the one of this machine's package."""
    if named := os.environ.get("KEEPER_ANVIL"):
        if not os.access(named, os.X_OK):
            raise DevnetError(f"KEEPER_ANVIL names {named}, which is not a program: correct or unset it")
        return Path(named)
    machine = this_machine()
    needed(read_lock(), machine)
    return folder_of(_ANVIL + machine) / "bin" / ("anvil.exe" if machine.startswith("win32") else "anvil")


def missing() -> tuple[Package, ...]:
    """Return the packages that this machine needs and does not have."""
    cache = cache_folder()
    return tuple(p for p in needed(read_lock()) if not _is_ready(_folder(cache, p), p))


def ensure(on_progress: Progress | None = None) -> None:
    """Fetch, verify and unpack what is missing; a few file reads when nothing is.

    Safe to run in several processes at once: one fetches, the others wait. A package appears under its final
    name only once it is complete. Raises `DevnetError`.
    """
    if not missing():
        return
    cache = cache_folder()
    cache.mkdir(parents=True, exist_ok=True)
    with _locked(cache / ".lock"):
        wanted = missing()
        if not wanted:
            return
        for abandoned in cache.glob(f"{_FETCHING}*"):  # by one that was killed: we hold the lock
            shutil.rmtree(abandoned)
        npm = npm_command(str(wanted[0]))
        total = sum(p.size_bytes for p in wanted)
        done = 0
        if on_progress:
            on_progress(f"fetching {len(wanted)} packages", 0, total)
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            try:
                for package in pool.map(lambda p: _install(npm, cache, p), wanted):
                    done += package.size_bytes
                    if on_progress:
                        on_progress(str(package), done, total)
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise


def _install(npm: str, cache: Path, package: Package) -> Package:
    target = _folder(cache, package)
    with tempfile.TemporaryDirectory(dir=cache, prefix=_FETCHING) as name:
        work = Path(name)
        archive = pack(npm, str(package), work)
        verify(archive, package)
        fresh = work / "unpacked"
        unpack(archive, fresh, package=str(package), keep=_KEEP.get(package.name, ()))
        (fresh / _STAMP).write_text(package.stamp)
        if target.exists():  # spoilt, or of an older lock
            target.rename(work / "old")
        fresh.rename(target)
    return package


def verify(archive: Path, package: Package) -> None:
    """Compare the archive's hash with the lock's. Raises `PackageIntegrityError`."""
    with archive.open("rb") as file:
        actual = "sha512-" + base64.b64encode(hashlib.file_digest(file, "sha512").digest()).decode()
    if actual != package.integrity:
        raise PackageIntegrityError(str(package), expected=package.integrity, actual=actual)


def _folder(cache: Path, package: Package) -> Path:
    return cache / f"{package.name.removeprefix('@').replace('/', '-')}-{package.version}"


def _is_ready(folder: Path, package: Package) -> bool:
    try:
        return (folder / _STAMP).read_text() == package.stamp
    except OSError:
        return False


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    import fcntl

    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _draw() -> int:
    """Fetch with a progress bar; return the exit code."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeElapsedColumn())
    try:
        with Progress(*columns, console=console, transient=True) as bar:
            task = bar.add_task("protocol packages", total=None)

            def show(text: str, done: int, total: int) -> None:
                bar.update(task, completed=done, total=total)
                bar.console.print(
                    f"  {text}" + (f"  {done / 1e6:.1f} of {total / 1e6:.1f} MB" if done else "")
                )

            ensure(show)
    except DevnetError as error:
        console.print(f"[red]error:[/red] {error}", soft_wrap=True, highlight=False)
        return 2
    return 0


def main() -> int:
    """Fetch what is missing. Returns the exit code: 0, or 2 with one line on stderr."""
    try:
        if not missing():
            return 0
    except DevnetError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return _draw()


if __name__ == "__main__":
    sys.exit(main())
