"""Keepers that share one store and one signer, as processes of their own, on a node of our own.

Each is what `keeper run` is with `store.standby`: it waits for its turn, reconciles, then runs cycles. Its
policy decides whatever was asked for and has no effect on the chain yet.
"""

import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from eth_account import Account

from keeper.chain.client import ChainClient
from keeper.devnet.node import Node
from keeper.execution.executor import Executor
from keeper.execution.limits import Pace
from keeper.execution.signer import KeystoreSigner
from keeper.journal.journal import Journal
from keeper.model.errors import KeeperError
from keeper.model.units import Wei
from keeper.service.daemon import Stop
from keeper.service.leader import Turn, opened_in_turn
from keeper.store.leaders import Leader
from keeper.store.place import Place
from keeper.store.store import Store
from tests.execution.bell import BELL, Bell, bell_venue, plan_of, seen
from tests.execution.local_chain import CHAIN_ID, KEY, LocalChain, local_chain
from tests.execution.rig import LIMITS
from tests.support import tally
from tests.support.audit import Audit, audit, landed_on

DEADLINE_S: Final = 60.0
ROOMY: Final = replace(LIMITS, max_gas_wei_per_hour=Wei(10**20), max_gas_wei_per_day=Wei(10**20))
PACE: Final = Pace(receipt_wait_s=2.0, poll_s=0.005, foreign_wait_s=2.0, cool_down_s=1)


@dataclass
class Relay:
    """The store, the chain, and the keepers that take turns."""

    place: Place
    chain: LocalChain
    url: str
    folder: Path
    wanted: int = 0
    children: list[int] = field(default_factory=list)

    def want(self, count: int = 1) -> None:
        """Decide so many more."""
        self.wanted += count
        draft = self.folder / "wanted.new"
        draft.write_text(str(self.wanted))
        draft.replace(self.folder / "wanted")

    def effects(self) -> dict[int, int]:
        return effects(self.chain.node, self.wanted)

    def start(self, *, cycles: int = 1_000_000, mine: bool = False) -> int:
        """Start one more keeper; return its process id."""
        child = os.fork()
        if child:
            self.children.append(child)
            return child
        code = 1
        try:
            run_keeper(self.place, self.url, self.folder, cycles, mine=mine)
            code = 0
        except KeeperError as error:
            sys.stderr.write(f"{error}\n")
        except BaseException:  # noqa: BLE001 - the parent sees the code, a person the text
            traceback.print_exc()
        finally:
            os._exit(code)

    def kill(self, child: int) -> None:
        os.kill(child, signal.SIGKILL)
        tally.count(tally.KILLS)
        assert self.ended(child) == -signal.SIGKILL

    def ended(self, child: int) -> int:
        """Wait for a keeper; return its exit code, negative for a signal."""
        self.children.remove(child)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

    def stop(self) -> None:
        for child in list(self.children):
            os.kill(child, signal.SIGKILL)
            os.kill(child, signal.SIGCONT)
            self.ended(child)

    def leader(self) -> Leader | None:
        with suppress(KeeperError), Store.attach(self.place) as store:
            return store.leaders.leader()
        return None

    def leading(self) -> int:
        """Wait until one of the living keepers leads; return its process id."""
        found: list[int] = []

        def one_leads() -> bool:
            leader = self.leader()
            if leader is not None and leader.until_s is None:
                found[:] = [child for child in self.children if leader.name.endswith(f":{child}")]
            return bool(found)

        wait_for("a leader", one_leads)
        return found[0]

    def settle(self) -> None:
        wait_for("every effect", lambda: set(self.effects().values()) == {1})

    def audit(self) -> Audit:
        """End all keepers, let one finish undisturbed, and compare store, journal and chain."""
        self.stop()
        assert self.ended(self.start(cycles=4, mine=True)) == 0
        landed = landed_on(self.chain.node, CHAIN_ID, self.chain.signer)
        with Store.attach(self.place) as store:
            return audit(store, self.folder / "journal.jsonl", landed, effects=self.effects()).require()


def wait_for(what: str, condition: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline_s, f"{what} did not come within {DEADLINE_S} s"
        time.sleep(0.02)


def effects(node: Node, wanted: int) -> dict[int, int]:
    numbers = range(1, wanted + 1)
    asked = [("eth_getStorageAt", [BELL, hex(number), "latest"]) for number in numbers]
    return {number: int(raw, 16) for number, raw in zip(numbers, node.batch(asked), strict=True)}


def run_keeper(place: Place, url: str, folder: Path, cycles: int, *, mine: bool) -> None:
    """What a keeper process does."""
    account = Account.from_key(KEY)
    node, stop = Node(url), Stop()
    client = ChainClient(name="local", chain_id=CHAIN_ID, endpoints=[url])
    with (
        Turn(place, stop, lambda: {CHAIN_ID: client.head()}) as turn,
        Store.open(place, "live", wait=turn, on_lost=stop.step_down) as store,
        opened_in_turn(lambda: Journal.open(folder / "journal.jsonl"), stop, waits=True) as journal,
    ):
        turn.end()
        executor = Executor(
            clients={CHAIN_ID: client},
            venues=[(bell_venue(CHAIN_ID), Bell())],
            store=store,
            journal=journal,
            sender=account.address,
            signer=KeystoreSigner(account),
            limits=ROOMY,
            live=True,
            final_after_blocks={CHAIN_ID: 2},
            pace=PACE,
            stop=lambda: stop.stopping,
        )
        executor.reconcile()
        for cycle in range(cycles):
            snapshot = seen([client.pin()])
            wanted = int((folder / "wanted").read_text())
            missing = [number for number, n in effects(node, wanted).items() if not n]
            executor.execute(plan_of(missing, CHAIN_ID, snapshot), f"{os.getpid()}-{cycle}", snapshot)
            if mine:
                node.rpc("evm_mine")
                node.rpc("evm_mine")
            elif not missing:
                threading.Event().wait(0.02)


@contextmanager
def relay(place: Place, folder: Path) -> Iterator[Relay]:
    with local_chain(folder) as chain:
        found = Relay(place=place, chain=chain, url=chain.node.url, folder=folder)
        found.want(0)
        try:
            yield found
        finally:
            found.stop()
