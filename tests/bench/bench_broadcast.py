"""From a new head to the broadcast of a liquidation among 1,000 watched accounts, on one local chain.

The clock starts before the node is asked for the block that makes an account liquidatable, and stops when the
node has taken our transaction: notice of the head, prices and events, the measure of all accounts, the
confirming read, the plan, the journal, simulation, outbox and signature are in between. The peer reads
all accounts at every head and is otherwise the same program, in turns with it.
"""

import dataclasses
import functools
import logging
import re
import statistics
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final
from unittest import mock

import structlog
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

from keeper.chain.client import ChainClient
from keeper.chain.pool import NodePool
from keeper.config.load import load
from keeper.config.settings import Settings
from keeper.devnet.bulk import seed_many
from keeper.devnet.deployment import ARBITRUM, OPTIMISM, Deployment
from keeper.devnet.lifecycle import temporary
from keeper.devnet.scenario import OptionType
from keeper.devnet.world import World
from keeper.execution.signer import KeystoreSigner
from keeper.journal.journal import Journal
from keeper.model.units import ONE, Wad
from keeper.service.chains import observing, watching_heads
from keeper.service.cycle import Stages, run_cycle
from keeper.service.wire import assemble
from keeper.snapshot import venue
from keeper.store.intents import Intents
from tests.bench.measure import Record

ACCOUNTS: Final = 1_000
TARGETS: Final = 26
"""Accounts that become liquidatable in turn: 21 heads are ours, 5 the peer's."""

PEER_EVERY: Final = 5
LIMIT_MS: Final = 150.0
_USDC: Final = 10**6

Move = Callable[[int], Callable[[], object]]
"""Prepares the n-th liquidation, and returns what makes the head that shows it."""


def records() -> Iterator[Record]:
    """Yield the median of each venue against the limit and against a full read, and its stages."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    with tempfile.TemporaryDirectory(prefix="keeper-bench-") as folder:
        root = Path(folder)
        with temporary(root / "chains") as (world, deployment):
            for chain, protocol, seed in (
                (OPTIMISM, "lyra", _short_puts),
                (ARBITRUM, "curie", _longs),
            ):
                settings = _settings(deployment, chain, protocol, root / protocol)
                yield from _race(protocol, settings, seed(world))


def _race(protocol: str, settings: Settings, move: Move) -> Iterator[Record]:
    ours, peer = _Times(), _Times()
    with ExitStack() as stack:
        keeper = stack.enter_context(assemble(settings, live=True))
        screened = keeper.daemon.stages
        entire = dataclasses.replace(screened, observe=stack.enter_context(observing(settings)))
        heard = threading.Event()
        stack.enter_context(watching_heads(settings, lambda _: heard.set()))
        watched = len(run_cycle(screened).snapshot.accounts)
        run_cycle(screened)
        for n in range(TARGETS):
            times, stages = (peer, entire) if n % PEER_EVERY == PEER_EVERY - 1 else (ours, screened)
            times.take(stages, heard, move(n))
    name = f"broadcast.{protocol}_{watched}_accounts"
    full = "the same with a full read at every head"
    yield Record(name=name, unit="ms", ours=ours.median_ms("total"), peer=LIMIT_MS, peer_name="limit")
    for stage in _Times.STAGES:
        yield Record(
            name=name if stage == "total" else f"{name}.{stage}",
            unit="ms",
            ours=ours.median_ms(stage),
            peer=peer.median_ms(stage),
            peer_name=full,
        )


class _Times:
    """Where the time of several heads went."""

    STAGES: Final = (
        "total", "notice", "survey", "screen", "confirm", "decide", "journal", "simulate", "store", "sign",
        "broadcast",
    )  # fmt: skip

    def __init__(self) -> None:
        self._taken: dict[str, list[float]] = defaultdict(list)
        self._now: dict[str, float] = {}
        self._end_s = 0.0

    def median_ms(self, stage: str) -> float:
        """Return the median of a stage over all heads."""
        return 1e3 * statistics.median(self._taken[stage])

    def take(self, stages: Stages, heard: threading.Event, make_head: Callable[[], object]) -> None:
        """Run the cycle of a head, up to its first broadcast; one that sends nothing does not count."""
        self._now = defaultdict(float)
        self._end_s = 0.0
        heard.clear()
        with ExitStack() as stack:
            for owner, names, stage in (
                (venue, ("surveyed", "to_read"), "screen"),
                (Journal, ("append",), "journal"),
                (Intents, ("plan", "move", "move_together", "sign", "keep"), "store"),
                (KeystoreSigner, ("sign",), "sign"),
                (ChainClient, ("broadcast",), "broadcast"),
            ):
                for name in names:
                    stack.enter_context(
                        mock.patch.object(owner, name, self._clocked(getattr(owner, name), stage))
                    )
            stack.enter_context(mock.patch.object(NodePool, "request", self._simulating(NodePool.request)))
            timed = dataclasses.replace(
                stages,
                observe=self._clocked(stages.observe, "observe"),
                decide=self._clocked(stages.decide, "decide"),
            )
            begin_s = time.perf_counter()
            make_head()
            heard.wait(30.0)
            self._now["notice"] = time.perf_counter() - begin_s
            run_cycle(timed)
        if self._end_s:
            now = self._now
            now["total"] = self._end_s - begin_s
            now["survey"] = now.pop("surveyed_at", 0.0)
            now["confirm"] = now["observe"] - now["survey"] - now["screen"]
            # What is signed is written down inside the same call.
            now["store"] -= now["sign"]
            for stage in self.STAGES:
                self._taken[stage].append(now[stage])

    def _simulating(self, request: Callable[..., Any]) -> Callable[..., Any]:
        """Clock the requests by which a transaction is tried."""
        clocked = self._clocked(request, "simulate")

        def outer(pool: NodePool, method: str, *args: Any, **kwargs: Any) -> Any:
            ask = clocked if method in ("eth_simulateV1", "eth_estimateGas") else request
            return ask(pool, method, *args, **kwargs)

        return outer

    def _clocked(self, inner: Callable[..., Any], stage: str) -> Callable[..., Any]:
        @functools.wraps(inner)
        def outer(*args: Any, **kwargs: Any) -> Any:
            begin_s = time.perf_counter()
            if stage == "observe":
                self._now["began"] = begin_s
            elif stage == "screen" and "surveyed_at" not in self._now:
                self._now["surveyed_at"] = begin_s - self._now["began"]
            try:
                return inner(*args, **kwargs)
            finally:
                if not self._end_s:
                    self._now[stage] += time.perf_counter() - begin_s
                    if stage == "broadcast":
                        self._end_s = time.perf_counter()

        return outer


def _settings(deployment: Deployment, chain: str, protocol: str, folder: Path) -> Settings:
    """Return the settings of a keeper of one chain that liquidates, hears of heads at once and screens."""
    folder.mkdir()
    text = deployment.config.read_text()
    other_chain, other = (ARBITRUM, "curie") if protocol == "lyra" else (OPTIMISM, "lyra")
    tables = re.split(r"(?m)^(?=\[)", text)
    gone = (f"[chains.{other_chain}]", f"[venues.{other}]", f"[venues.{other}.", "[[policy.hedge]]")
    text = "".join(table for table in tables if not table.startswith(gone))
    url = deployment.chain(chain).url
    text = text.replace(
        f"[chains.{chain}]", f'[chains.{chain}]\nws_endpoints = ["{url.replace("http", "ws", 1)}"]'
    )
    text = text.replace('"signer.json"', f'"{deployment.keystore}"')
    text = text.replace('"signer.password"', f'"{deployment.password_file}"')
    text += "\n[screen]\nmin_accounts = 1\nfull_read_s = 30.0\n"
    path = folder / "keeper.toml"
    path.write_text(text)
    return load(path)


def _short_puts(world: World) -> Move:
    """Open options, among them puts of which one more falls below its requirement with each dollar of ETH."""
    lyra = world.lyra
    seed_many(world, options=ACCOUNTS - TARGETS - 18, traders=0)
    spot, size, owner = lyra.spot(), Wad(2 * ONE), world.actors["hans"]
    lyra.fund(owner, quote=Wad(1_000_000 * ONE), base=Wad(0))
    prices = [Wad(spot - n * ONE) for n in range(1, TARGETS + 1)]
    for price in prices:
        collateral = lyra.min_collateral(OptionType.SHORT_PUT_QUOTE, 3, size, Wad(price + ONE // 2))
        lyra.open(owner, OptionType.SHORT_PUT_QUOTE, 3, size, collateral)
    return lambda n: lambda: lyra.set_spot(prices[n])


def _longs(world: World) -> Move:
    """Open perps, among them longs of which one more falls below its requirement every few dollars."""
    curie, node = world.curie, world.curie.node
    seed_many(world, options=0, traders=ACCOUNTS - TARGETS - 9)
    node.rpc("anvil_autoImpersonateAccount", True)
    traders = [to_checksum_address(keccak(text=f"target {n}")[12:]) for n in range(TARGETS)]
    vault, usdc = curie["Vault"], curie["SettlementToken"]
    curie.fund(node.accounts[0], 1_000 * TARGETS)
    for n, trader in enumerate(traders):
        node.rpc("anvil_setBalance", trader, hex(100 * ONE))
        vault.send("depositFor", trader, usdc.address, int((215 + 2.2 * n) * _USDC))
        curie.trade(trader, "ETH", Wad(ONE))
    node.rpc("anvil_autoImpersonateAccount", False)
    node.warp(1_900)  # all averages arrive where the price is
    world.align()
    mark = world.mark("ETH")
    values = [curie["ClearingHouse"].call("getAccountValue", trader) for trader in traders]
    # Liquidatable where value + m - mark < 0.0625 m.
    lines = [(mark - value) * 10_000 // 9_375 for value in values]

    def prepare(n: int) -> Callable[[], object]:
        curie.walk(world.actors["arbitrageur"], "ETH", Wad(lines[n] - ONE))
        return lambda: node.warp(1)

    return prepare
