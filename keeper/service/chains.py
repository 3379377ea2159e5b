"""Chains and venues as the settings name them: clients, observers, and who tells of new heads."""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import structlog

from keeper.chain.client import ChainClient
from keeper.chain.errors import NodeUnreachable
from keeper.chain.heads import HeadWatch, watching
from keeper.chain.pricing import BaseFees, FeeRules
from keeper.chain.settings import ClientSettings, Finality, GasBy, PinAt
from keeper.config.settings import Settings
from keeper.config.tables import ChainTable
from keeper.model.errors import DataError, TransientError
from keeper.model.reads import Address
from keeper.model.snapshot import BlockRef, Snapshot
from keeper.model.units import Wei
from keeper.model.venue import Venue
from keeper.protocols.adapter import Adapter, Finding, Found
from keeper.protocols.registry import ADAPTERS
from keeper.service.check.contracts import bytecode
from keeper.service.errors import NoCodeError, UnknownBlockError
from keeper.snapshot.observe import Observer

GWEI: Final = 10**9
STANDS_S: Final = 15.0
"""How long what was read at a block is used again, while its chain has no new one: a cycle that another chain
began reads that other chain only."""

_BASE_FEES: Final = {
    "none": BaseFees.EIP1559,
    "op-stack": BaseFees.OP_STACK,
    "arbitrum": BaseFees.ARBITRUM,
}
"""By what layer 1 charges for, which says what kind of chain it is."""

log = structlog.get_logger()


def venues_of(settings: Settings) -> tuple[tuple[Venue, Adapter], ...]:
    """Return every venue with a new adapter for it."""
    return tuple((venue, ADAPTERS[venue.protocol]()) for venue in settings.venues())


def client_of(name: str, table: ChainTable) -> ChainClient:
    """Return a client that has asked nobody yet. Raises `EndpointUnfit`."""
    return ChainClient(**_client_fields(name, table))


def connect(name: str, table: ChainTable) -> ChainClient:
    """Return a client whose endpoints have told their chain id. Raises as `ChainClient.connect`."""
    return ChainClient.connect(**_client_fields(name, table))


def reach(name: str, table: ChainTable) -> ChainClient:
    """Return a client of a chain that may be down just now: it is a gap then, and asked again every cycle."""
    client = client_of(name, table)
    try:
        client.verify()
    except NodeUnreachable as trouble:
        log.warning("chain does not answer", chain=name, why=str(trouble))
    return client


@contextlib.contextmanager
def clients(
    settings: Settings, make: Callable[[str, ChainTable], ChainClient]
) -> Iterator[dict[int, ChainClient]]:
    """Give a client per chain id for the length of a `with` block, made side by side."""
    made: dict[int, ChainClient] = {}
    with contextlib.ExitStack() as stack, ThreadPoolExecutor(max_workers=len(settings.chains)) as threads:
        jobs = {table.chain_id: threads.submit(make, name, table) for name, table in settings.chains.items()}
        for chain_id, job in jobs.items():
            made[chain_id] = job.result()
            stack.callback(made[chain_id].close)
        yield made


def finality_of(table: ChainTable) -> Finality:
    """Return by what blocks of a chain are final: a layer 2 says so itself, unless the file does."""
    if table.finality != "auto":
        return Finality(table.finality)
    return Finality.CONFIRMATIONS if table.l1_fee == "none" else Finality.FINALIZED


def gas_by_of(table: ChainTable) -> GasBy:
    """Return how gas is settled: Arbitrum charges layer 1 as gas, which only its estimate knows."""
    if table.gas_by != "auto":
        return GasBy(table.gas_by)
    return GasBy.ESTIMATE if table.l1_fee == "arbitrum" else GasBy.SIMULATION


def fee_rules_of(table: ChainTable) -> FeeRules:
    """Return how the fees of a chain are estimated."""
    return FeeRules(
        base_fees=_BASE_FEES[table.l1_fee],
        blocks=table.fee_blocks,
        percentile=table.fee_percentile,
        min_tip=Wei(int(table.min_tip_gwei * GWEI)),
        max_tip=Wei(int(table.max_tip_gwei * GWEI)),
    )


def _client_fields(name: str, table: ChainTable) -> ClientSettings:
    return {
        "name": name,
        "chain_id": table.chain_id,
        "endpoints": table.endpoints,
        "pin_at": PinAt(table.pin_at),
        "confirmations": table.confirmations,
        "finality": finality_of(table),
        "finality_fallback": table.finality_fallback,
        "call_gas": table.call_gas,
        "gas_by": gas_by_of(table),
        "log_blocks": table.log_blocks,
        "timeout_s": table.timeout_s,
        "multicall": table.multicall,
        "max_lag_blocks": table.max_lag_blocks,
        "max_head_age_s": table.max_head_age_s,
        "quorum": table.quorum,
        "private_endpoint": table.private_endpoint,
        "private_blocks": table.private_blocks,
        "private_only": table.private_only,
        "fees": fee_rules_of(table),
    }


def require_code(settings: Settings, connected: Mapping[int, ChainClient]) -> None:
    """Raise `NoCodeError` for addresses without a contract, on chains that answer."""
    missing: list[Finding] = []
    for name in settings.venue_tables:
        venue = settings.venue(name)
        with contextlib.suppress(TransientError, DataError):
            found = bytecode(name, venue, connected[venue.chain_id])
            missing += [finding for finding in found if not finding.ok]
    if missing:
        raise NoCodeError(settings.source, missing)


def blocks_of(settings: Settings, at: Sequence[str]) -> dict[int, int]:
    """Return the block by chain id that each `CHAIN=BLOCK` names. Raises `UnknownBlockError`."""
    ids = {name: table.chain_id for name, table in settings.chains.items()}
    ids |= {str(chain_id): chain_id for chain_id in ids.values()}
    blocks: dict[int, int] = {}
    for text in at:
        chain, _, number = text.partition("=")
        if chain not in ids or not number.isdecimal():
            raise UnknownBlockError(text, settings.chains)
        blocks[ids[chain]] = int(number)
    return blocks


def observer_of(
    settings: Settings,
    connected: Mapping[int, ChainClient],
    *,
    senders: Sequence[Address] = (),
    load: Callable[[str], Found | None] = lambda _: None,
    save: Callable[[str, Found], None] = lambda _venue, _found: None,
) -> Observer:
    """Return the observer of all configured chains."""
    payer = settings.payer()
    return Observer(
        connected,
        venues_of(settings),
        [*settings.owners(), *senders, *([payer] if payer is not None else [])],
        staleness=settings.params().staleness,
        natives={table.chain_id: table.native for table in settings.chains.values()},
        load=load,
        save=save,
        ours=settings.minded(),
        margin=settings.screen.margin,
        carries=settings.screen.min_accounts,
        stands_s=STANDS_S,
    )


@contextlib.contextmanager
def observing(settings: Settings, *, at: Mapping[int, int] | None = None) -> Iterator[Callable[[], Snapshot]]:
    """Give a function that takes a snapshot; it needs neither store nor key.

    Raises what a wrong configuration raises; a chain that does not answer is a gap.
    """
    with clients(settings, client_of) as connected:
        observer = observer_of(settings, connected)
        yield lambda: observer.observe(at)


def heads_of(connected: Mapping[int, ChainClient]) -> dict[int, BlockRef]:
    """Return the newest block of every chain that answers."""
    heads: dict[int, BlockRef] = {}
    for chain_id, client in connected.items():
        with contextlib.suppress(TransientError, DataError):
            heads[chain_id] = client.head()
    return heads


def natives_of(connected: Mapping[int, ChainClient], address: Address) -> dict[int, Wei]:
    """Return what an address holds of the native coin of every chain that answers."""
    natives: dict[int, Wei] = {}
    for chain_id, client in connected.items():
        with contextlib.suppress(TransientError, DataError):
            natives[chain_id] = client.native(address)
    return natives


def _lookout_of(name: str, table: ChainTable) -> ChainClient:
    """Return a client that is only asked for heads: one voice is enough to begin a cycle."""
    return client_of(name, table.model_copy(update={"quorum": 1}))


@contextlib.contextmanager
def watching_heads(settings: Settings, due: Callable[[str], None]) -> Iterator[None]:
    """Ask for a cycle at every new head of a chain, with its hash."""

    def told(chain_id: int, block_hash: str) -> None:
        log.debug("new head", chain_id=chain_id, hash=block_hash)
        due(block_hash)

    with clients(settings, _lookout_of) as polled:
        watches = [
            HeadWatch(
                polled[table.chain_id],
                ws_endpoints=table.ws_endpoints,
                poll_s=settings.cycle.poll_s,
                silent_s=table.ws_silent_s,
                told=told,
            )
            for table in settings.chains.values()
        ]
        with watching(watches):
            yield
