"""Fetching: against a lock, once, whole or not at all. A shell script stands in for npm and its registry."""

import base64
import hashlib
import io
import os
import re
import shutil
import subprocess
import sys
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

from keeper.devnet import packages
from keeper.devnet.errors import (
    DevnetError,
    NpmMissingError,
    PackageFetchError,
    PackageIntegrityError,
    PackageMissingError,
    PackageUnsafeError,
    PlatformError,
)
from keeper.devnet.packages import Package

NAMES = ("@scope/one", "two")


class Registry:
    """A folder of archives, an `npm` that hands them out and notes each call, and a lock for them."""

    def __init__(self, root: Path) -> None:
        self.archives = root / "archives"
        self.calls = root / "calls"
        self.bin = root / "bin"
        self.lock = root / "packages.lock"
        self.cache = root / "cache"
        for folder in (self.archives, self.bin):
            folder.mkdir()
        self.calls.write_text("")
        self.packages = tuple(self.add(name, {"package/package.json": b"{}"}) for name in NAMES)
        self.answer('cp "$ARCHIVES/$name.tgz" .')

    def add(self, name: str, files: dict[str, bytes]) -> Package:
        path = self.archives / f"{name.replace('/', '-')}@1.0.0.tgz"
        with tarfile.open(path, "w:gz") as tar:
            for member, content in files.items():
                entry = tarfile.TarInfo(member)
                entry.size = len(content)
                tar.addfile(entry, io.BytesIO(content))
        raw = path.read_bytes()
        integrity = "sha512-" + base64.b64encode(hashlib.sha512(raw).digest()).decode()
        return Package(name=name, version="1.0.0", size_bytes=len(raw), integrity=integrity)

    def answer(self, script: str) -> None:
        """Let npm do this: `$2` is what was asked for, `$name` the file name of its archive."""
        npm = self.bin / "npm"
        npm.write_text(
            f'#!/bin/sh\nPATH=/usr/bin:/bin\nARCHIVES="{self.archives}"\n'
            f'echo "$2" >> "{self.calls}"\nname=$(echo "$2" | tr / -)\n{script}\n'
        )
        npm.chmod(0o755)

    def write_lock(self, *listed: Package) -> None:
        lines = [f"{p.name} {p.version} {p.size_bytes} {p.integrity}" for p in listed]
        self.lock.write_text("# name version bytes integrity\n" + "\n".join(lines) + "\n")

    def environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "PATH": f"{self.bin}:/usr/bin:/bin",
            "KEEPER_CACHE": str(self.cache),
            "KEEPER_ANVIL": "/bin/true",
        }

    def run(self) -> subprocess.Popen[str]:
        program = (
            "import pathlib, sys; from keeper.devnet import packages;"
            f"packages.LOCK = pathlib.Path({str(self.lock)!r}); sys.exit(packages.main())"
        )
        return subprocess.Popen(
            [sys.executable, "-c", program],
            env=self.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def asked(self) -> list[str]:
        return sorted(self.calls.read_text().split())

    def left_over(self) -> list[str]:
        return sorted(p.name for p in self.cache.joinpath("npm").glob("*") if p.name != ".lock")


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Registry:
    registry = Registry(tmp_path)
    registry.write_lock(*registry.packages)
    for name, value in registry.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(packages, "LOCK", registry.lock)
    return registry


def test_the_lock_pins_every_package_and_names_no_host() -> None:
    lock = packages.read_lock()
    assert {p.name for p in lock} >= {"viem", "@lyrafinance/protocol", "@perp/curie-contract"}
    assert all(re.fullmatch(r"sha512-[A-Za-z0-9+/]{86}==", p.integrity) for p in lock)
    assert all(re.fullmatch(r"\d+\.\d+\.\d+(-[a-z]+)?", p.version) for p in lock)
    assert "://" not in packages.LOCK.read_text()


@pytest.mark.parametrize(
    "line", ["viem 2.0.0", "viem 2.0.0 12 md5-abc", "viem 2.0.0 much sha512-a", "a b c d e"]
)
def test_a_broken_lock_is_named_with_its_line(line: str, registry: Registry) -> None:
    registry.lock.write_text(f"# comment\n\n{line}\n")
    with pytest.raises(DevnetError, match=r"packages\.lock:3 "):
        packages.ensure()


def test_only_this_machines_node_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KEEPER_ANVIL", raising=False)
    lock = packages.read_lock()
    node = next(p for p in lock if p.name == "@foundry-rs/anvil-linux-amd64")
    both = (*lock, replace(node, name="@foundry-rs/anvil-darwin-arm64"))
    chosen = [p.name for p in packages.needed(both, "darwin-arm64") if "anvil" in p.name]
    assert chosen == ["@foundry-rs/anvil-darwin-arm64"]
    with pytest.raises(PlatformError, match="plan9-mips: set KEEPER_ANVIL"):
        packages.needed(both, "plan9-mips")
    monkeypatch.setenv("KEEPER_ANVIL", "/usr/bin/anvil")
    assert not any("anvil" in p.name for p in packages.needed(both, "plan9-mips"))


def test_a_named_node_must_be_a_program(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("KEEPER_ANVIL", str(tmp_path / "nothing"))
    with pytest.raises(DevnetError, match="which is not a program"):
        packages.anvil_binary()


def test_fetches_once(registry: Registry) -> None:
    seen: list[tuple[str, int, int]] = []
    packages.ensure(lambda text, done, total: seen.append((text, done, total)))
    packages.ensure()
    total = sum(p.size_bytes for p in registry.packages)
    assert registry.asked() == ["@scope/one@1.0.0", "two@1.0.0"]
    assert seen[0][1:] == (0, total)
    assert seen[-1][1:] == (total, total)
    assert (packages.folder_of("@scope/one") / "package.json").read_text() == "{}"
    assert registry.left_over() == ["scope-one-1.0.0", "two-1.0.0"]


def test_what_is_not_there_is_missed_by_name(registry: Registry) -> None:
    with pytest.raises(
        PackageMissingError, match=r"two@1.0.0 is not in the cache .*keeper\.devnet\.packages"
    ):
        packages.folder_of("two")


def test_another_archive_than_the_locks_is_refused(registry: Registry) -> None:
    good = registry.packages[1]
    registry.add("two", {"package/package.json": b'{"evil": true}'})
    with pytest.raises(PackageIntegrityError) as caught:
        packages.ensure()
    assert caught.value.package == "two@1.0.0"
    assert caught.value.expected == good.integrity
    assert "two-1.0.0" not in registry.left_over()
    assert not any(name.startswith(".fetch-") for name in registry.left_over())


def test_a_cut_archive_is_refused(registry: Registry) -> None:
    registry.answer('head -c 20 "$ARCHIVES/$name.tgz" > "$name.tgz"')
    with pytest.raises(PackageIntegrityError):
        packages.ensure()


def test_an_unsafe_archive_is_refused_although_its_hash_is_right(registry: Registry) -> None:
    registry.write_lock(registry.add("two", {"package/../../../escaped": b"x"}))
    with pytest.raises(PackageUnsafeError):
        packages.ensure()
    assert registry.left_over() == []
    assert not any(p.name == "escaped" for p in registry.cache.parent.rglob("*"))


def test_a_changed_lock_or_a_spoilt_package_is_fetched_again(registry: Registry) -> None:
    packages.ensure()
    folder = packages.folder_of("two")
    registry.write_lock(registry.packages[0], registry.add("two", {"package/new.txt": b"new"}))
    packages.ensure()
    assert sorted(p.name for p in folder.iterdir()) == [".verified", "new.txt"]
    (folder / ".verified").unlink()
    packages.ensure()
    assert registry.asked().count("two@1.0.0") == 3
    assert registry.asked().count("@scope/one@1.0.0") == 1


def test_what_a_killed_process_left_is_swept_away(registry: Registry) -> None:
    half = registry.cache / "npm" / ".fetch-half" / "unpacked"
    half.mkdir(parents=True)
    packages.ensure()
    assert registry.left_over() == ["scope-one-1.0.0", "two-1.0.0"]


def test_two_processes_fetch_once(registry: Registry) -> None:
    registry.answer('sleep 0.3; cp "$ARCHIVES/$name.tgz" .')
    both = [registry.run(), registry.run()]
    outputs = [process.communicate(timeout=60) for process in both]
    assert [process.returncode for process in both] == [0, 0], outputs
    assert registry.asked() == ["@scope/one@1.0.0", "two@1.0.0"]


def test_without_npm_the_package_and_the_remedy_are_named(
    registry: Registry, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    with pytest.raises(NpmMissingError, match=r"@scope/one@1\.0\.0 .*install Node\.js.*`make packages`"):
        packages.ensure()


def test_npm_beside_python_is_used_when_the_path_has_none(
    registry: Registry, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "executable", str(registry.bin / "python"))
    packages.ensure()
    assert len(registry.asked()) == 2


@pytest.mark.parametrize(
    ("said", "code", "remedy"),
    [
        ("npm error code ENOTFOUND\nnpm error syscall getaddrinfo\nnpm error none", "ENOTFOUND", "network"),
        ("npm error code E404\nnpm error 404 Not Found - GET", "E404", "registry setting"),
        ("npm error code EACCES\nnpm error syscall mkdir\nnpm error no right", "EACCES", "by hand"),
        ("", "no code", "by hand"),
    ],
)  # fmt: skip
def test_npms_own_reason_is_passed_on(said: str, code: str, remedy: str, registry: Registry) -> None:
    registry.answer(f"printf '{said}' >&2; exit 1".replace("\n", "\\n"))
    with pytest.raises(PackageFetchError, match=remedy) as caught:
        packages.ensure()
    assert caught.value.code == code
    assert "\n" not in str(caught.value)


def test_success_without_an_archive_is_a_failure(registry: Registry) -> None:
    registry.answer("exit 0")
    with pytest.raises(PackageFetchError):
        packages.ensure()


@pytest.mark.parametrize("script", ["printf 'npm error code ENOTFOUND\\n' >&2; exit 1", "cp /bin/sh x.tgz"])
def test_the_command_says_one_line_and_exits_2(script: str, registry: Registry) -> None:
    registry.answer(script)
    process = registry.run()
    out, err = process.communicate(timeout=60)
    assert process.returncode == 2
    assert out == ""
    errors = [line for line in err.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert "@scope/one@1.0.0" in errors[0] or "two@1.0.0" in errors[0]
    assert "Traceback" not in err


def test_a_warm_command_says_nothing(registry: Registry) -> None:
    packages.ensure()
    process = registry.run()
    assert process.communicate(timeout=60) == ("", "")
    assert process.returncode == 0


@pytest.mark.skipif(shutil.which("npm") is None, reason="needs an npm on the PATH")
def test_real_npm_without_a_network(tmp_path: Path) -> None:
    environment = {
        **os.environ,
        "KEEPER_CACHE": str(tmp_path),
        "npm_config_registry": "http://127.0.0.1:9/",
        "npm_config_cache": str(tmp_path / "npm-cache"),
    }
    ran = subprocess.run(
        [sys.executable, "-m", "keeper.devnet.packages"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ran.returncode == 2
    (error,) = (line for line in ran.stderr.splitlines() if line.startswith("error: "))
    assert "ECONNREFUSED" in error
    assert "check the network" in error
