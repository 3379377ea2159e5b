"""The daemon as a process that screens: it acts on the right accounts, and notices when it was not told."""

import json
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from keeper.config.load import load
from keeper.journal.journal import read
from keeper.journal.verify import verify
from keeper.model.intent import TxState
from keeper.model.record import RecordKind
from keeper.model.units import Wad
from keeper.replay.replay import replay
from keeper.store.store import Store
from tests.service.test_process import Files
from tests.support.chains import Chains
from tests.support.rpc_proxy import RpcProxy, answered

pytestmark = pytest.mark.faults

SCREEN = "\n[screen]\nmin_accounts = 1\nfull_read_s = 1.0\n"


class Screened(Files):
    """A keeper that screens, behind proxies."""

    def __init__(self, chains: Chains, folder: Path, stack: ExitStack) -> None:
        super().__init__(chains, folder)
        text = self.config.read_text().replace("interval_s = 3600", "interval_s = 1") + SCREEN
        self.proxies = {c.chain_id: stack.enter_context(RpcProxy(c.url)) for c in chains.deployment.chains}
        for chain in chains.deployment.chains:
            assert chain.url in text
            text = text.replace(chain.url, self.proxies[chain.chain_id].url)
        self.config.write_text(text)

    def has_said(self, event: str, **parts: str) -> bool:
        """Tell whether a line of the log says this, with these parts in its fields."""
        lines = (self.folder / "stderr").read_text().splitlines()
        told = [json.loads(line) for line in lines if line.startswith("{") and line.endswith("}")]
        return any(
            t["event"] == event and all(part in str(t.get(name)) for name, part in parts.items())
            for t in told
        )

    def disagrees(self) -> bool:
        """Tell whether a full read has said something else than the screen."""
        return self.has_said("screen in doubt: all accounts are read", why="a full read disagrees")

    def snapshots(self) -> list[dict[str, Any]]:
        """Return what was journaled."""
        records = read(self.folder / "journal.jsonl")
        return [r.body["snapshot"] for r in records if r.kind is RecordKind.SNAPSHOT]

    def is_current(self) -> bool:
        """Tell whether the last look was at the heads."""
        pinned = {b["chain_id"]: b["number"] for b in self.snapshots()[-1]["blocks"]}
        heads = {c.chain_id: self.chains.node(c.name).head() for c in self.chains.deployment.chains}
        return bool(pinned == heads)

    def landed(self) -> set[str]:
        """Return who was liquidated."""
        with Store.attach(self.folder / "keeper.sqlite") as store:
            done = store.intents.within([TxState.CONFIRMED, TxState.FINALIZED])
        return {intent.subject for intent in done if intent.kind == "liquidate" and intent.success}


@pytest.fixture
def files(chains: Chains, tmp_path: Path) -> Iterator[Screened]:
    with ExitStack() as stack:
        yield Screened(chains, tmp_path, stack)


def test_the_right_accounts_are_liquidated_and_lost_events_are_noticed(
    chains: Chains, files: Screened
) -> None:
    process = files.start("run", "--live")
    try:
        for venue in ("lyra:10", "curie:42161"):
            agreed = partial(files.has_said, "full read agrees", venue=venue)
            files.wait_for(f"a full read of {venue}", agreed)
        chains.move()
        expected = {f"curie:42161:{chains.actor(name)}" for name in ("kurt", "lena")}
        files.wait_for("the liquidations", lambda: files.landed() >= expected)
        files.wait_for("dora's liquidation", lambda: any(s.startswith("lyra:10:") for s in files.landed()))
        assert not files.disagrees()
        files.wait_for("a look at what came of it", files.is_current)
        files.proxies[42161].fault(answered([]), "eth_getLogs")
        chains.curie.trade(chains.actor("iris"), "ETH", Wad(10**18))
        files.wait_for("the doubt", files.disagrees)
        files.proxies[42161].clear()
        chains.world.align()
        files.wait_for("the agreement", partial(files.has_said, "screen agrees with what was read"))
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 0
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    settings = load(files.config)
    assert verify(settings.journal.path).ok
    assert all(cycle.ok for cycle in replay(settings.journal.path))
    snapshots = files.snapshots()
    assert snapshots[0]["screens"] == []
    assert any(screen["unread"] for s in snapshots for screen in s["screens"])
    assert any(gap["what"] == "screen" for s in snapshots for gap in s["gaps"])
    assert len(files.landed()) == 3, "nobody else"
