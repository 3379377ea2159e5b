"""Everything that can go wrong, at random, around a keeper's process that lives and dies meanwhile."""

import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from random import Random
from typing import Final

from keeper.devnet.errors import RevertError
from keeper.devnet.node import Node
from keeper.model.units import ONE, Wad
from keeper.store.store import Store
from tests.faults.test_bad_nodes import lagging
from tests.faults.test_sending import landed_and_refused
from tests.faults.whole import CHAINS, SEND, Whole
from tests.support import tally
from tests.support.rpc_proxy import (
    Fault,
    answered,
    delayed,
    dropped,
    garbage,
    limited,
    refused,
    swallowed,
)
from tests.support.ws_proxy import WsProxy

MOST_REORG: Final = 5
STOP_S: Final = 60.0
"""How long a keeper that is told to stop may take, on a slow machine."""

ANYWHERE: Final[tuple[Callable[[], Fault], ...]] = (
    dropped,
    garbage,
    limited,
    lambda: delayed(0.3),
    lambda: lagging(3),
    lambda: refused(-32005, "request rate limited"),
    lambda: refused(-32000, "header not found"),
)
AT_SENDING: Final[tuple[Callable[[], Fault], ...]] = (
    dropped,
    swallowed,
    lambda: landed_and_refused,
    lambda: refused(-32603, "internal error 0x5f"),
    lambda: answered("0x" + "00" * 32),
)


class Storm:
    """One seed's worth of trouble. What it does not do: lose what is final, or land what it had dropped."""

    def __init__(self, whole: Whole, sockets: dict[str, WsProxy], seed: int) -> None:
        self.whole = whole
        self.random = Random(seed)
        self.process: subprocess.Popen[bytes] | None = None
        self.strangers: list[tuple[str, str]] = []
        """Chain and hash of what another wallet sent."""

        self._sockets = sockets
        self._events: tuple[tuple[int, Callable[[], None]], ...] = (
            (10, self.mine),
            (10, self.move_price),
            (6, self.misbehave),
            (6, self.misbehave_at_sending),
            (5, self.behave),
            (2, self.hold_transactions),
            (4, self.reorg),
            (3, self.drop_pool),
            (3, self.another_wallet),
            (2, self.spike),
            (2, self.break_sockets),
            (1, self.lock_store),
            (1, self.halt_and_resume),
            (1, self.freeze),
        )

    # The keeper's process

    def start(self) -> None:
        """Start a keeper beside this process."""
        with (self.whole.folder / "stderr").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "keeper", "run", "--live", "-c", str(self.whole.config)],
                stdout=subprocess.DEVNULL,
                stderr=log,
            )

    def kill(self) -> None:
        """End it as a power failure does."""
        assert self.process is not None
        self.process.kill()
        assert self.process.wait() == -signal.SIGKILL, self.log()
        tally.count(tally.KILLS)

    def stop(self) -> None:
        """Ask it to end; it does, and says that all is well."""
        assert self.process is not None
        self.process.terminate()
        assert self.process.wait(timeout=STOP_S) == 0, self.log()

    def require_running(self) -> None:
        """No fault ends a keeper."""
        assert self.process is not None
        assert self.process.poll() is None, self.log()

    def close(self) -> None:
        """Leave nothing running."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def log(self) -> str:
        """Return the end of what the keeper said."""
        return (self.whole.folder / "stderr").read_text()[-4000:]

    # One event

    def strike(self) -> None:
        """Let one thing happen."""
        weights = [weight for weight, _ in self._events]
        (event,) = self.random.choices([event for _, event in self._events], weights)
        event()

    def mine(self) -> None:
        node = self._node(self._chain())
        for _ in range(self.random.randint(1, 3)):
            node.rpc("evm_mine")

    def move_price(self) -> None:
        """Take both markets somewhere else, while the keeper stands still: the walk is timed by the block."""
        eth, btc = self.random.randint(1780, 2050), self.random.randint(37_300, 40_500)
        with self._frozen():
            self.whole.set_automine(True)
            self.whole.mine()
            with suppress(RevertError):  # out of a venue's reach
                self.whole.chains.move({"ETH": Wad(eth * ONE), "BTC": Wad(btc * ONE)})

    def misbehave(self) -> None:
        proxy = self.random.choice(self.whole.proxies[self._chain()])
        proxy.fault(self.random.choice(ANYWHERE)(), times=self.random.randint(1, 20))

    def misbehave_at_sending(self) -> None:
        fault = self.random.choice(AT_SENDING)
        for proxy in self.whole.proxies[self._chain()]:
            proxy.fault(fault(), SEND, times=self.random.randint(1, 3))

    def behave(self) -> None:
        for proxy in self.whole.proxies[self._chain()]:
            proxy.clear()
        self.whole.set_automine(True)

    def hold_transactions(self) -> None:
        self._node(self._chain()).rpc("evm_setAutomine", False)

    def reorg(self) -> None:
        """Take some blocks, never one that another wallet's transaction is in: that is a tripwire."""
        chain = self._chain()
        node, depth = self._node(chain), self.random.randint(1, MOST_REORG)
        with self._frozen():
            first = node.head() - depth + 1
            if first <= max(self.whole.began[chain], self._last_stranger(chain)):
                return
            node.rpc("anvil_reorg", depth, [])
            tally.count(tally.REORGS)
            if self.random.random() < 0.5:
                node.rpc("anvil_dropAllTransactions")

    def drop_pool(self) -> None:
        self._node(self._chain()).rpc("anvil_dropAllTransactions")
        tally.fault("dropped mempools")

    def another_wallet(self) -> None:
        """Somebody with our key sends, and is mined at once."""
        chain = self._chain()
        node = self._node(chain)
        with self._frozen():
            node.rpc("anvil_dropAllTransactions")
            self.strangers.append((chain, self.whole.another_wallet(chain)))
            node.rpc("evm_mine")

    def spike(self) -> None:
        self._node(self._chain()).rpc("anvil_setNextBlockBaseFeePerGas", hex(20 * 10**9))
        tally.fault("base fee twentyfold")

    def break_sockets(self) -> None:
        self._sockets[self._chain()].close_all()

    def lock_store(self) -> None:
        tally.fault("database locked")
        path = self.whole.settings.store.path
        with closing(sqlite3.connect(path, isolation_level=None, timeout=30.0)) as other:
            other.execute("BEGIN IMMEDIATE")
            time.sleep(self.random.uniform(0.05, 0.3))
            other.execute("ROLLBACK")

    def halt_and_resume(self) -> None:
        with Store.attach(self.whole.settings.store.path) as store:
            store.halt("a storm", by="operator")
            time.sleep(self.random.uniform(0.05, 0.3))
            store.resume(by="operator")

    def freeze(self) -> None:
        with self._frozen():
            time.sleep(self.random.uniform(0.05, 0.3))
        tally.fault("frozen loop")

    def _chain(self) -> str:
        return self.random.choice(sorted(CHAINS))

    def _node(self, chain: str) -> Node:
        return self.whole.chains.node(chain)

    @contextmanager
    def _frozen(self) -> Iterator[None]:
        """The keeper stands still meanwhile, in the middle of whatever it does."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.process.send_signal(signal.SIGCONT)

    def _last_stranger(self, chain: str) -> int:
        """Return the highest block that holds a transaction of another wallet."""
        hashes = [tx_hash for where, tx_hash in self.strangers if where == chain]
        receipts = self._node(chain).batch([("eth_getTransactionReceipt", [h]) for h in hashes])
        return max((int(r["blockNumber"], 16) for r in receipts if r), default=0)
