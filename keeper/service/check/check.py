"""The whole check, in the order in which its lines are shown, and in a bounded time."""

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from queue import Empty, SimpleQueue
from typing import Final, TypeVar

from keeper.chain.client import ChainClient
from keeper.chain.limits import Need
from keeper.chain.probes import Probed, probe, tells_chain_id
from keeper.chain.ws_probe import Listened, listen
from keeper.config.settings import Settings
from keeper.config.tables import ChainTable
from keeper.model.errors import ConfigError, DataError, KeeperError, TransientError
from keeper.model.reads import Address
from keeper.model.snapshot import Snapshot
from keeper.service.chains import finality_of
from keeper.service.check.contracts import contracts, events_asked, reading, selectors
from keeper.service.check.endpoints import Chain, depth_needed, heard, judged, private
from keeper.service.check.files import files
from keeper.service.check.signer import balance, signers
from keeper.service.check.verdicts import Checked, Section

CHAIN_S: Final = 90.0
"""For the contracts of a chain, and what the signers hold there."""

READING_S: Final = 120.0
"""For the snapshot that ends the check."""

WS_BLOCKS: Final = 4
LEAST_WS_S: Final = 2.0
MOST_WS_S: Final = 15.0

T = TypeVar("T")


def check(
    settings: Settings,
    *,
    connect: Callable[[str, ChainTable], ChainClient],
    observe: Callable[[], Snapshot],
    tell: Callable[[str], None] = lambda _: None,
) -> Iterator[Checked]:
    """Yield one line per thing that was held against the file; one that is not `ok` makes the check fail.

    `connect` and `observe` are those of a cycle. `tell` is given what is being done, for a person who waits.
    """
    tell("looking at store, journal and signer")
    yield from files(settings)
    addresses = yield from signers(settings)
    chains = [_chain(settings, name, table) for name, table in settings.chains.items()]
    tell(f"asking {sum(len(c.table.endpoints) for c in chains)} endpoints what they can do")
    with ThreadPoolExecutor(max_workers=sum(len(c.table.endpoints) for c in chains)) as threads:
        asked = {
            chain.name: [
                threads.submit(probe, url, chain.need, timeout_s=chain.table.timeout_s)
                for url in chain.table.endpoints
            ]
            for chain in chains
        }
        probed = {name: [job.result() for job in jobs] for name, jobs in asked.items()}
    tell("listening for heads, reading contracts")
    with ThreadPoolExecutor(max_workers=2 * len(chains)) as threads:
        besides = {c.name: threads.submit(_besides, c, probed[c.name]) for c in chains}
        on_chain = {c.name: threads.submit(_on_chain, settings, c, connect, addresses) for c in chains}
        for chain in chains:
            yield from _endpoints(chain, probed[chain.name])
            yield from besides[chain.name].result()
            tell(f"reading the contracts on {chain.name}")
            yield from on_chain[chain.name].result().lines
    tell("reading what a cycle reads")
    if all(job.result().usable for job in on_chain.values()):
        yield from _reading(settings, observe)
    else:
        yield Section("a cycle's reading").skipped("reading", "a chain cannot be read", "a snapshot")


def _chain(settings: Settings, name: str, table: ChainTable) -> Chain:
    venues = [v for v in settings.venues() if v.chain_id == table.chain_id]
    asked = [logs for venue in venues for logs in events_asked(venue)]
    return Chain(
        name=name,
        table=table,
        tags=frozenset({table.pin_at, finality_of(table).value}) & {"safe", "finalized"},
        need=Need(
            chain_id=table.chain_id,
            multicall=table.multicall,
            call_gas=table.call_gas,
            depth_blocks=depth_needed(table),
            log_blocks=table.log_blocks,
            logs_from=min((logs.from_block for logs in asked), default=None),
            logs_at=tuple(sorted({logs.to for logs in asked})),
            events=tuple(sorted({selector for logs in asked for selector in selectors(logs)})),
            pin_at=table.pin_at,
        ),
    )


def _endpoints(chain: Chain, probed: list[Probed]) -> Iterator[Checked]:
    for i, found in enumerate(probed):
        section = Section(_named(chain, i, len(probed), found.host))
        yield from judged(chain, section, found, [p for j, p in enumerate(probed) if j != i])


def _named(chain: Chain, i: int, count: int, host: str) -> str:
    return (
        f"{chain.name} endpoint {i + 1} of {count}, {host}" if count > 1 else f"{chain.name} endpoint, {host}"
    )


def _besides(chain: Chain, probed: list[Probed]) -> list[Checked]:
    """Listen to the chain's WebSockets, and ask its private endpoint."""
    block_s = max((p.block_time_s for p in probed if p.block_time_s is not None), default=MOST_WS_S)
    patience_s = min(MOST_WS_S, chain.table.ws_silent_s, max(LEAST_WS_S, WS_BLOCKS * block_s))
    lines: list[Checked] = []
    urls = chain.table.ws_endpoints
    if urls:
        with ThreadPoolExecutor(max_workers=len(urls)) as threads:
            hear = partial(listen, chain_id=chain.need.chain_id, patience_s=patience_s)
            found: list[Listened] = list(threads.map(hear, urls))
        lines += [heard(chain, Section(f"{chain.name} heads, {f.host}"), f) for f in found]
    if chain.table.private_endpoint:
        host, chain_id, trouble = tells_chain_id(
            chain.table.private_endpoint, timeout_s=chain.table.timeout_s
        )
        lines.append(private(chain, Section(f"{chain.name} private, {host}"), chain_id, trouble))
    return lines


@dataclass(frozen=True, slots=True)
class _OnChain:
    lines: list[Checked]
    usable: bool


def _on_chain(
    settings: Settings,
    chain: Chain,
    connect: Callable[[str, ChainTable], ChainClient],
    addresses: Sequence[Address],
) -> _OnChain:
    """Ask a chain as a cycle does: all endpoints as one, its contracts, what the signers hold."""
    section, name = Section(f"chain {chain.name}"), chain.name
    subject, expected = f"chain {name}", f"chain id {chain.table.chain_id} and Multicall3"
    try:
        lines = _within(CHAIN_S, partial(_asked, settings, chain, connect, addresses))
    except (ConfigError, TransientError, DataError) as error:
        return _OnChain([section.fail(subject, str(error), expected, f"see [chains.{name}]")], usable=False)
    if lines is None:
        found, remedy = f"not read within {CHAIN_S:.0f} s", "faster endpoints: a cycle would take as long"
        return _OnChain([section.fail(subject, found, expected, remedy)], usable=False)
    return _OnChain(lines, usable=True)


def _asked(
    settings: Settings,
    chain: Chain,
    connect: Callable[[str, ChainTable], ChainClient],
    addresses: Sequence[Address],
) -> list[Checked]:
    """Return the lines of a chain. Raises what its nodes' trouble raises."""
    section, name = Section(f"chain {chain.name}"), chain.name
    expected = f"chain id {chain.table.chain_id} and Multicall3"
    client = connect(name, chain.table)
    try:
        head = client.head()
        found = f"chain id {client.chain_id}, head {head.number:,} at {', '.join(client.hosts)}"
        lines = [section.ok(f"chain {name}", found, expected)]
        for i, address in enumerate(addresses):
            lines.append(balance(settings, client, address, urgent=i > 0))
        for venue_name, table in settings.venue_tables.items():
            if table.chain == name:
                lines += contracts(venue_name, settings.venue(venue_name), client)
        return lines
    finally:
        client.close()


def _reading(settings: Settings, observe: Callable[[], Snapshot]) -> Iterator[Checked]:
    section = Section("a cycle's reading")
    try:
        snapshot = _within(READING_S, observe)
    except KeeperError as error:
        yield section.fail("reading", str(error), "a snapshot", "see the reason")
        return
    if snapshot is None:
        remedy = "faster endpoints, or fewer accounts: a cycle would take as long"
        yield section.fail("reading", f"not read within {READING_S:.0f} s", "a snapshot", remedy)
        return
    yield from reading(snapshot, settings.owners(), settings.chain_names())


def _within(limit_s: float, job: Callable[[], T]) -> T | None:
    """Return a job's result; None when it takes too long, and then it ends unheard."""
    done: SimpleQueue[T | KeeperError] = SimpleQueue()

    def run() -> None:
        try:
            done.put(job())
        except KeeperError as error:
            done.put(error)

    threading.Thread(target=run, daemon=True).start()
    try:
        found = done.get(timeout=limit_s)
    except Empty:
        return None
    if isinstance(found, KeeperError):
        raise found
    return found
