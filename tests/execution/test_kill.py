"""A keeper on a real node, killed at every state boundary and at random times, and started again.

The child process is forked, runs a few cycles against anvil, and ends by SIGKILL. Its policy decides
whatever has no effect on the chain yet. However it ends, each decision must have exactly one effect.
"""

import os
import random
import signal
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import pytest
from eth_account import Account

from keeper.chain.client import ChainClient
from keeper.devnet import anvil
from keeper.devnet.multicall import install_multicall3
from keeper.devnet.node import Node
from keeper.execution.crash import BOUNDARIES, crash_point
from keeper.execution.executor import Executor
from keeper.execution.limits import Pace
from keeper.execution.signer import KeystoreSigner
from keeper.journal.journal import Journal
from keeper.model.intent import TxState
from keeper.model.reads import Address
from keeper.model.units import Wei
from keeper.store.store import Store
from tests.execution.bell import BELL, RUNTIME, TWO_STEPS, Bell, bell_venue, plan_of, seen
from tests.execution.rig import LIMITS, never
from tests.support import tally
from tests.support.audit import audit, landed_on

pytestmark = [pytest.mark.devnet, pytest.mark.faults]

CHAIN_ID: Final = 31_337
KEY: Final = "0x" + "4b" * 32
FINAL_AFTER: Final = 2
KILLS: Final = int(os.environ.get("KEEPER_KILLS", "25"))
"""At random times."""

SEED: Final = int(os.environ.get("KEEPER_SEED", "1"))
ROOMY: Final = replace(LIMITS, max_gas_wei_per_hour=Wei(10**20), max_gas_wei_per_day=Wei(10**20))
OPEN_SLOT: Final = "0x" + "0" * 64
CLOSED_SLOT: Final = "0x" + "0" * 63 + "1"


@dataclass
class Site:
    """A node, the files of one keeper, and what was decided so far."""

    node: Node
    url: str
    folder: Path
    wanted: list[int]

    def want(self, count: int) -> None:
        """Decide so many more; the last one takes two steps."""
        first = len(self.wanted) + 1
        self.wanted += range(first, first + count - 1)
        self.wanted.append(TWO_STEPS + first + count)

    def effects(self) -> dict[int, int]:
        slots = [n for number in self.wanted for n in steps_of(number)]
        asked = [("eth_getStorageAt", [BELL, hex(slot), "latest"]) for slot in slots]
        return {slot: int(raw, 16) for slot, raw in zip(slots, self.node.batch(asked), strict=True)}

    def set_closed(self, closed: bool) -> None:
        self.node.rpc("anvil_setStorageAt", BELL, OPEN_SLOT, CLOSED_SLOT if closed else OPEN_SLOT)
        self.node.rpc("evm_mine")


def steps_of(number: int) -> tuple[int, ...]:
    return (number,) if number < TWO_STEPS else (number, number + TWO_STEPS)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with anvil.running(CHAIN_ID, log=tmp_path / "anvil.log") as running:
        running.node.rpc("anvil_setBalance", Account.from_key(KEY).address, hex(10**22))
        running.node.rpc("anvil_setCode", BELL, RUNTIME)
        install_multicall3(running.node)
        for _ in range(8):
            running.node.rpc("evm_mine")
        yield Site(node=running.node, url=running.url, folder=tmp_path, wanted=[])


def keeper_run(site: Site, crash_at: Callable[[str], None], cycles: int, mine: bool) -> None:
    """What a keeper process does: open, reconcile, then decide what has no effect, cycle by cycle."""
    account = Account.from_key(KEY)
    node = Node(site.url)
    client = ChainClient(name="local", chain_id=CHAIN_ID, endpoints=[site.url])
    with (
        Store.open(site.folder / "keeper.sqlite", "live", crash_at=crash_at) as store,
        Journal.open(site.folder / "journal.jsonl") as journal,
    ):
        executor = Executor(
            clients={CHAIN_ID: client},
            venues=[(bell_venue(CHAIN_ID), Bell())],
            store=store,
            journal=journal,
            sender=Address(account.address),
            signer=KeystoreSigner(account),
            limits=ROOMY,
            live=True,
            final_after_blocks={CHAIN_ID: FINAL_AFTER},
            pace=Pace(receipt_wait_s=2.0, poll_s=0.005, foreign_wait_s=2.0, cool_down_s=1),
        )
        executor.reconcile()
        for cycle in range(cycles):
            snapshot = seen([client.pin()])
            done = Site(node=node, url=site.url, folder=site.folder, wanted=site.wanted).effects()
            missing = [n for n in site.wanted if not all(done[slot] for slot in steps_of(n))]
            executor.execute(plan_of(missing, CHAIN_ID, snapshot), f"{os.getpid()}-{cycle}", snapshot)
            if mine:
                for _ in range(FINAL_AFTER):
                    node.rpc("evm_mine")


def fork(program: Callable[[], None]) -> int:
    """Run `program` in a child process and return its id. The child never returns into the test."""
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        program()
        code = 0
    except BaseException:  # noqa: BLE001 - the parent sees the code, a person the text
        traceback.print_exc()
    finally:
        os._exit(code)


def ended(child: int) -> int:
    """Wait for a child; return its exit code, negative for a signal."""
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code == -signal.SIGKILL:
        tally.count(tally.KILLS)
    return code


def require_one_effect_each(site: Site, *, foreign: int = 0) -> int:
    """Let the keeper finish undisturbed, then check everything it left. Returns the number of intents."""
    assert ended(fork(lambda: keeper_run(site, never, cycles=3, mine=True))) == 0
    landed = landed_on(site.node, CHAIN_ID, Address(Account.from_key(KEY).address))
    with Store.attach(site.folder / "keeper.sqlite") as store:
        done = audit(store, site.folder / "journal.jsonl", landed, foreign=foreign, effects=site.effects())
    return done.require().intents


def test_killed_at_every_state_boundary(site: Site) -> None:
    kills = 0
    for boundary in BOUNDARIES:
        for time_s in (1, 2):
            site.want(2)
            site.set_closed(boundary.startswith("dropped"))
            crash_at = crash_point(f"{boundary}:{time_s}")
            code = ended(fork(lambda crash_at=crash_at: keeper_run(site, crash_at, 2, True)))  # type: ignore[misc]
            assert code == -signal.SIGKILL, f"{boundary} was not reached {time_s} times"
            kills += 1
            site.set_closed(False)
            # The next one starts on what this one left; every second time it is allowed to finish first.
            if time_s == 2:
                require_one_effect_each(site)
    intents = require_one_effect_each(site)
    print(f"\nkilled at boundaries: {kills} kills, {intents} intents, 0 duplicates, 0 lost")


def test_killed_at_random_times(site: Site) -> None:
    random_ = random.Random(SEED)
    kills = 0
    site.node.rpc("evm_setAutomine", False)
    while kills < KILLS:
        if len(site.wanted) < 12 or set(site.effects().values()) == {1}:
            site.want(6)
        child = fork(lambda: keeper_run(site, never, cycles=100_000, mine=False))
        die_at_s = time.monotonic() + random_.uniform(0.05, 0.6)
        while time.monotonic() < die_at_s:
            time.sleep(random_.uniform(0.005, 0.05))
            if random_.random() < 0.7:
                site.node.rpc("evm_mine")
        os.kill(child, signal.SIGKILL)
        assert ended(child) == -signal.SIGKILL
        kills += 1
    site.node.rpc("evm_setAutomine", True)
    site.node.rpc("evm_mine")
    intents = require_one_effect_each(site)
    print(f"\nkilled at random times: {kills} kills, {intents} intents, 0 duplicates, 0 lost")


@pytest.mark.parametrize("depth", [1, 2, 3, 4, 5])
def test_a_real_reorg_is_survived(site: Site, depth: int) -> None:
    site.want(3)
    assert ended(fork(lambda: keeper_run(site, never, cycles=1, mine=False))) == 0
    before: Sequence[int] = list(site.effects().values())
    assert set(before) == {1}
    site.node.rpc("anvil_reorg", depth, [])
    tally.count(tally.REORGS)
    site.node.rpc("anvil_dropAllTransactions")
    require_one_effect_each(site)


def test_a_dropped_transaction_is_sent_again(site: Site) -> None:
    site.node.rpc("evm_setAutomine", False)
    site.want(1)
    assert ended(fork(lambda: keeper_run(site, never, cycles=1, mine=False))) == 0
    site.node.rpc("anvil_dropAllTransactions")
    tally.fault("dropped mempools")
    site.node.rpc("evm_setAutomine", True)
    require_one_effect_each(site)


def test_another_wallet_with_our_key_is_told_from_ourselves(site: Site) -> None:
    site.node.rpc("evm_setAutomine", False)
    site.want(1)
    assert ended(fork(lambda: keeper_run(site, never, cycles=1, mine=False))) == 0
    site.node.rpc("anvil_dropAllTransactions")
    account = Account.from_key(KEY)
    foreign = account.sign_transaction(
        {
            "type": 2,
            "chainId": CHAIN_ID,
            "nonce": 0,
            "to": account.address,
            "value": 1,
            "gas": 21_000,
            "maxFeePerGas": 10**11,
            "maxPriorityFeePerGas": 10**9,
        }
    )
    site.node.rpc("eth_sendRawTransaction", "0x" + bytes(foreign.raw_transaction).hex())
    tally.fault("another wallet's nonces")
    site.node.rpc("evm_mine")
    site.node.rpc("evm_setAutomine", True)
    require_one_effect_each(site, foreign=1)
    with Store.attach(site.folder / "keeper.sqlite") as store:
        dropped = store.intents.within([TxState.DROPPED])
    assert any("was used by another transaction" in stored.reason for stored in dropped)
