"""The daemon as a process that hears of new heads over WebSockets only."""

import os
import signal
from pathlib import Path

import pytest

from tests.service.test_process import Files
from tests.support.chains import Chains

pytestmark = pytest.mark.devnet


def test_a_new_head_makes_a_cycle_and_the_end_is_clean(chains: Chains, tmp_path: Path) -> None:
    files = Files(chains, tmp_path)
    text = files.config.read_text().replace("poll_s = 0.5", "poll_s = 3600.0")
    for name in ("optimism", "arbitrum"):
        endpoints = f'endpoints = ["{chains.url(name)}"]'
        assert endpoints in text
        text = text.replace(endpoints, f"{endpoints}\nws_{endpoints.replace('http://', 'ws://')}")
    files.config.write_text(text)
    process = files.start("run")
    try:
        files.wait_for("both subscriptions", lambda: log_of(files).count("heads by subscription") == 2)
        files.wait_for("a good cycle", lambda: files.health().last_cycle_age_s is not None)
        chains.node("optimism").rpc("evm_mine")
        head = chains.node("optimism").head()
        # well before the timer, which takes an hour
        files.wait_for("the cycle of the new head", lambda: heads_of(files)[10] == head)
        os.kill(process.pid, signal.SIGTERM)
        assert process.wait(timeout=60) == 0
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    assert '"event": "stopped"' in log_of(files)
    assert "Traceback" not in log_of(files)


def log_of(files: Files) -> str:
    return (files.folder / "stderr").read_text()


def heads_of(files: Files) -> dict[int, int | None]:
    return {chain.chain_id: chain.head for chain in files.health().chains}
