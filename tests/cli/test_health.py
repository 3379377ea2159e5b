"""`keeper health --watch`, in a process of its own: its exit code tells what was seen last."""

import json
import signal
import subprocess
import sys
from pathlib import Path

from keeper.store.store import Store

PROGRAM = """
import signal
from keeper.cli.main import main
signal.signal(signal.SIGINT, signal.default_int_handler)
main()
"""
"""A shell has what it runs in the background ignore interruptions."""


def test_watching_in_json_until_interrupted(config: Path) -> None:
    store = config.parent / "keeper.sqlite"
    Store.open(store, "dry-run").close()
    arguments = ["health", "-c", str(config), "--json", "--watch", "--every", "0.2"]
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *arguments], stdout=subprocess.PIPE, text=True
    ) as watching:
        try:
            assert watching.stdout is not None
            assert json.loads(watching.stdout.readline())["status"] == "degraded"
            with Store.attach(store) as attached:
                attached.halt("looks odd", by="anna")
            while json.loads(watching.stdout.readline())["status"] != "halted":
                pass
            watching.send_signal(signal.SIGINT)
            assert watching.wait(timeout=60.0) == 3
        finally:
            watching.kill()
