"""Contracts where the file says they are, wired to each other, and answering our ABI."""

from collections.abc import Iterator, Mapping

from keeper.chain.abi import event
from keeper.chain.client import ChainClient
from keeper.execution.allowlist import AllowList
from keeper.model.book import Wallet
from keeper.model.errors import DataError, TransientError
from keeper.model.reads import Logs
from keeper.model.snapshot import BlockRef, Snapshot
from keeper.model.units import to_float
from keeper.model.venue import Venue
from keeper.protocols.adapter import Adapter, Finding, Found
from keeper.protocols.registry import ADAPTERS
from keeper.service.check.verdicts import Checked, Section

UNLIMITED = 2**255
"""An allowance beyond this was meant to be without limit."""


def bytecode(name: str, venue: Venue, client: ChainClient) -> Iterator[Finding]:
    """Yield whether there is code at each address of a venue. Raises what the node's trouble raises."""
    for contract, address in venue.contracts:
        size = len(client.code(address))
        yield Finding(
            subject=f"{name}.{contract}",
            ok=size > 0,
            found=f"{size:,} bytes of code at {address}",
            expected="a contract",
            remedy=f"correct venues.{name}.contracts.{contract}",
        )


def contracts(name: str, venue: Venue, client: ChainClient) -> Iterator[Checked]:
    """Yield bytecode and wiring of a venue, and how many calls may be sent to it."""
    section, adapter = Section(f"venue {name}"), ADAPTERS[venue.protocol]()
    try:
        for finding in bytecode(name, venue, client):
            yield section.taken(finding)
        for finding in client.run(adapter.check(venue), client.pin()):
            yield section.taken(finding, f"{name}.")
        yield _calls(section, name, venue, adapter)
    except (DataError, TransientError) as error:
        yield section.fail(name, str(error), "answers to every read", f"see [venues.{name}]")


def events_asked(venue: Venue) -> tuple[Logs, ...]:
    """Return the events that a venue is followed by, from its first block on. Nobody is asked."""
    at = BlockRef(chain_id=venue.chain_id, number=venue.from_block, hash="", parent_hash="", timestamp_s=0)
    reads = ADAPTERS[venue.protocol]().survey(venue, Found(next_block=venue.from_block), (), at)
    try:
        return tuple(read for read in next(reads, ()) if isinstance(read, Logs))
    finally:
        reads.close()


def selectors(logs: Logs) -> tuple[str, ...]:
    """Return the first topics of what is asked for, 0x-prefixed."""
    return tuple("0x" + event(logs.contract, name).selector.hex() for name in logs.events)


def _calls(section: Section, name: str, venue: Venue, adapter: Adapter) -> Checked:
    rows = AllowList([(venue, adapter)]).rows()
    remedy = f"{venue.protocol} offers no transaction: the venue can be watched only"
    found = f"{len(rows)} calls may be sent"
    return section.holds(bool(rows), f"{name} allow-list", found, "at least one", remedy)


def reading(snapshot: Snapshot, owners: tuple[str, ...], chains: Mapping[int, str]) -> Iterator[Checked]:
    """Yield what a cycle would read: accounts, gaps, and what our own wallets hold and allow."""
    section = Section("a cycle's reading")
    accounts = len(snapshot.accounts)
    yield section.ok("reading", f"{accounts:,} accounts, {len(snapshot.gaps)} gaps", "a snapshot")
    for gap in snapshot.gaps:
        yield section.fail(f"{gap.what} {gap.key}", gap.reason, "a reading", "see the reason")
    for wallet in snapshot.wallets:
        if wallet.owner in owners:
            where = chains.get(wallet.chain_id, str(wallet.chain_id))
            yield _held(section, wallet, where)
            yield from _allowances(section, wallet, where)


def _held(section: Section, wallet: Wallet, where: str) -> Checked:
    held = [f"{to_float(balance.amount):,.2f} {balance.asset}" for balance in wallet.balances]
    expected = "what top-ups and margin are paid with"
    subject = f"wallet {wallet.owner} on {where}"
    if any(balance.amount > 0 for balance in wallet.balances):
        return section.ok(subject, ", ".join(held), expected)
    remedy = "send settlement tokens there, or collateral can only come from another account"
    return section.warn(subject, ", ".join(held) or "no settlement token", expected, remedy)


def _allowances(section: Section, wallet: Wallet, where: str) -> Iterator[Checked]:
    """State what venues may take from a wallet: never wrong, but to be known."""
    for allowance in wallet.allowances:
        amount = "without limit" if allowance.amount >= UNLIMITED else f"{to_float(allowance.amount):,.2f}"
        yield section.ok(
            f"allowance on {where}",
            f"{allowance.spender} may take {amount} {allowance.asset}",
            "an approval is sent before the transaction that needs it",
        )
