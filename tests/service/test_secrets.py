"""A whole live run, searched for what opens the key: logs, journal, database, answers, arguments."""

import base64
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final
from urllib.parse import quote

import pytest

from keeper.execution.signer import key_library
from keeper.model.intent import TxState
from keeper.store.store import Store
from tests.support.chains import Chains
from tests.support.keeper_files import keeper_config

ENDPOINT_PASSWORD: Final = "7f3c-endpoint-Zx9-secret"
WRONG_PASSWORD: Final = "not-the-password-Qw8"
COMMANDS: Final = (
    ("check", "--json"),
    ("check",),
    ("plan", "--json"),
    ("profile", "--json"),
    ("health", "--json"),
    ("why", "desk", "--json"),
    ("journal", "verify"),
    ("journal", "export"),
    ("replay",),
)


def spellings(secret: bytes) -> dict[str, bytes]:
    """Every way in which a secret of that many bytes is usually written."""
    plain, url_safe = base64.b64encode(secret), base64.urlsafe_b64encode(secret)
    return {
        "raw": secret,
        "hex": secret.hex().encode(),
        "0x hex": b"0x" + secret.hex().encode(),
        "base64": plain.rstrip(b"="),
        "url-safe base64": url_safe.rstrip(b"="),
        "base32": base64.b32encode(secret).rstrip(b"=").lower(),
        "decimal": str(int.from_bytes(secret, "big")).encode(),
        "reversed": secret[::-1],
        "list of numbers": ", ".join(map(str, secret)).encode(),
        "quoted": quote(secret).encode().lower(),
    }


def found_in(content: bytes, secrets: dict[str, bytes]) -> list[str]:
    """Name the secrets that occur, in whatever spelling and case."""
    lower = content.lower()
    return [
        f"{name}, {spelling}"
        for name, secret in secrets.items()
        for spelling, text in spellings(secret).items()
        if text in content or text.lower() in lower
    ]


def arguments_of(pid: int) -> Iterator[bytes]:
    """Give the command line of a process and of all that it started, as any user of the machine sees it."""
    try:
        yield Path(f"/proc/{pid}/cmdline").read_bytes() + Path(f"/proc/{pid}/comm").read_bytes()
        for thread in Path(f"/proc/{pid}/task").iterdir():
            for child in (thread / "children").read_text().split():
                yield from arguments_of(int(child))
    except OSError:
        return  # it has ended


@pytest.mark.parametrize("spelling", sorted(spellings(b"x")))
def test_the_search_finds_what_is_there(spelling: str) -> None:
    secret = bytes(range(100, 132))
    text = spellings(secret)[spelling]
    for content in (text, b'{"k": "' + text + b'"}', b"\x00" * 5000 + text):
        assert f"key, {spelling}" in found_in(content, {"key": secret})
    assert found_in(text[:-2], {"key": secret, "other": b"another secret"}) == []


@pytest.mark.devnet
def test_no_secret_shows_anywhere_in_a_live_run(chains: Chains, tmp_path: Path) -> None:
    secrets = secrets_of(chains)
    ports = {name: chains.url(name).rpartition(":")[2] for name in ("optimism", "arbitrum")}
    config = keeper_config(
        chains,
        tmp_path,
        *(
            (chains.url(name), f"http://keeper:${{NODE_PASSWORD}}@127.0.0.1:{port}")
            for name, port in ports.items()
        ),
    )
    environment = os.environ | {"NODE_PASSWORD": ENDPOINT_PASSWORD}
    chains.move()
    seen: list[tuple[str, bytes]] = []

    def keeper(*arguments: str, within_s: float = 180.0, stop_when: bytes | None = None) -> int:
        """Run a command to its end, or until it has told something, and keep all that it shows meanwhile."""
        name = "-".join(argument.strip("-") for argument in arguments)
        with (tmp_path / f"{name}.out").open("wb") as out, (tmp_path / f"{name}.err").open("wb") as err:
            process = subprocess.Popen(
                [sys.executable, "-m", "keeper", *arguments, "-c", str(config)],
                stdout=out,
                stderr=err,
                env=environment,
            )
            started_s, told = time.monotonic(), stop_when is None
            try:
                while process.poll() is None and time.monotonic() < started_s + within_s:
                    seen.extend((f"arguments of {name}", line) for line in arguments_of(process.pid))
                    if stop_when is not None and not told and stop_when in Path(err.name).read_bytes():
                        process.send_signal(signal.SIGTERM)  # once: a second one ends it at once
                        told = True
                    time.sleep(0.1)
            finally:
                process.kill()
                process.wait()
        return process.returncode

    assert keeper("run", "--live", "--once") == 0
    assert keeper("run", "--live", stop_when=b'"event": "cycle"') == 0
    for command in COMMANDS:
        keeper(*command)
    spoil_password(config, tmp_path)
    assert keeper("run", "--live", "--once", "--json") == 2
    assert keeper("check", "--json") == 1
    ports_closed = config.read_text().replace(f":{ports['optimism']}", ":1")
    config.write_text(ports_closed)
    keeper("profile")

    with Store.attach(tmp_path / "keeper.sqlite") as store:
        assert len(store.intents.within([TxState.CONFIRMED, TxState.FINALIZED])) >= 3
    files = [path for path in sorted(tmp_path.rglob("*")) if path.is_file()]
    files = [path for path in files if path != tmp_path / "wrong.password"]
    seen += [(path.name, path.read_bytes()) for path in files]
    assert {"keeper.sqlite", "journal.jsonl", "run-live-once.err"} <= {name for name, _ in seen}
    assert any(chains.deployment.signer.encode() in content for _, content in seen)
    leaks = [f"{name}: {leak}" for name, content in seen for leak in found_in(content, secrets)]
    assert leaks == []
    print(f"\nsearched {len(seen)} outputs, {sum(len(c) for _, c in seen):,} bytes: no secret")


def secrets_of(chains: Chains) -> dict[str, bytes]:
    """Return what must not show: the key, its password, and the others that a run uses."""
    password = chains.deployment.password_file.read_text().rstrip("\n")
    sealed = json.loads(chains.deployment.keystore.read_text())
    return {
        "key": bytes(key_library().decrypt(sealed, password)),
        "password": password.encode(),
        "wrong password": WRONG_PASSWORD.encode(),
        "endpoint password": ENDPOINT_PASSWORD.encode(),
    }


def spoil_password(config: Path, folder: Path) -> None:
    """Name a password file that does not open the keystore."""
    wrong = folder / "wrong.password"
    wrong.write_text(WRONG_PASSWORD)
    wrong.chmod(0o600)
    lines: Iterable[str] = (
        f'password_file = "{wrong}"' if line.startswith("password_file") else line
        for line in config.read_text().splitlines()
    )
    config.write_text("\n".join(lines) + "\n")
