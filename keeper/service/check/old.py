"""Hold the configuration against the chains: everything is where the file says, and answers."""

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence

from keeper.chain.client import ChainClient
from keeper.chain.errors import NodeRefused, NodeUnreachable
from keeper.config.settings import Settings
from keeper.config.tables import ChainTable
from keeper.execution.allowlist import AllowList
from keeper.execution.signer import Signer
from keeper.journal.verify import verify
from keeper.model.book import Wallet
from keeper.model.errors import ConfigError, DataError, TransientError
from keeper.model.reads import Address
from keeper.model.snapshot import Snapshot
from keeper.model.units import coins, to_float
from keeper.model.venue import Venue
from keeper.protocols.adapter import Adapter, Finding
from keeper.protocols.registry import ADAPTERS
from keeper.service.keys import load_signer
from keeper.store.errors import StoreMissingError
from keeper.store.place import shown
from keeper.store.store import Store

_SIGNERS = {
    "keystore": "a keystore and a password file of mode 0600",
    "remote": "a signer that signs for the address",
    "kms": "a key on secp256k1 of the address",
}

UNLIMITED = 2**255
"""An allowance beyond this was meant to be without limit."""


def check(
    settings: Settings,
    *,
    connect: Callable[[str, ChainTable], ChainClient],
    observe: Callable[[], Snapshot],
) -> Iterator[Finding]:
    """Yield one line per thing that was held against the file; `ok` False makes the check fail.

    In dry-run mode nothing of the signer is looked at, so an auditor needs no key.
    """
    yield from _files(settings)
    signer = yield from _signer(settings)
    clients: dict[int, ChainClient] = {}
    for name, table in settings.chains.items():
        client = yield from _chain(name, table, connect)
        if client is not None:
            clients[table.chain_id] = client
            if signer is not None:
                yield _balance(settings, client, signer.address)
    try:
        for name in settings.venue_tables:
            venue = settings.venue(name)
            if venue.chain_id in clients:
                yield from _venue(name, venue, clients[venue.chain_id])
    finally:
        for client in clients.values():
            client.close()
    if len(clients) == len(settings.chains):
        yield from _reading(settings, observe())


def _line(subject: str, ok: bool, found: str, expected: str, remedy: str) -> Finding:
    return Finding(subject=subject, ok=ok, found=found, expected=expected, remedy="" if ok else remedy)


def _files(settings: Settings) -> Iterator[Finding]:
    place = settings.store.place
    subject = f"store {shown(place)}"
    try:
        with Store.attach(place) as store:
            mode = store.mode
        fits = settings.mode == mode or settings.mode != "live"
        remedy = "a live start would be refused: name another one under [store]"
        yield _line(subject, fits, f"{mode} store", "a store of the mode in the file", remedy)
    except StoreMissingError:
        folder = settings.store.path.parent
        found = "not there yet" if folder.is_dir() else f"no folder {folder}"
        yield _line(subject, folder.is_dir(), found, "a folder to make it in", f"create {folder}")
    except (ConfigError, TransientError) as error:
        yield _line(subject, False, str(error), "a store that this version reads", "see [store]")
    journal = settings.journal.path
    if journal.exists():
        verdict = verify(journal)
        found = f"{verdict.records} records, {'whole' if verdict.ok else 'damaged'}"
        yield _line(f"journal {journal}", verdict.ok, found, "an unbroken chain", "keeper journal verify")
    else:
        found = "not there yet" if journal.parent.is_dir() else f"no folder {journal.parent}"
        yield _line(
            f"journal {journal}", journal.parent.is_dir(), found, "a folder to make it in",
            f"create {journal.parent}",
        )  # fmt: skip


def _signer(settings: Settings) -> Generator[Finding, None, Signer | None]:
    """Yield what is found of the signer; return it where it can be used."""
    if settings.mode != "live" or settings.signer is None:
        yield _line("signer", True, "not loaded", 'nothing: mode is "dry-run"', "")
        return None
    try:
        signer = load_signer(settings)
    except (ConfigError, TransientError, DataError) as error:
        yield _line("signer", False, str(error), _SIGNERS[settings.signer.kind], "see [signer]")
        return None
    yield _line("signer", True, signer.address, _SIGNERS[settings.signer.kind], "")
    yield from _hedge_owners(settings, signer)
    return signer


def _hedge_owners(settings: Settings, signer: Signer) -> Iterator[Finding]:
    for i, hedge in enumerate(settings.policy.hedge):
        yield _line(
            f"policy.hedge[{i}].owner",
            hedge.owner == signer.address,
            hedge.owner,
            f"the signer, {signer.address}",
            "the signer trades its own account only: name it as owner, or hedge elsewhere",
        )


def _chain(
    name: str, table: ChainTable, connect: Callable[[str, ChainTable], ChainClient]
) -> Generator[Finding, None, ChainClient | None]:
    """Yield what the chain's nodes say; return a client where they can be used."""
    subject, expected = f"chain {name}", f"chain id {table.chain_id} and Multicall3"
    try:
        client = connect(name, table)
        head = client.head()
    except (ConfigError, TransientError, DataError) as error:
        yield _line(subject, False, str(error), expected, f"see [chains.{name}]")
        return None
    hosts = ", ".join(client.hosts)
    yield _line(subject, True, f"chain id {client.chain_id}, head {head.number:,} at {hosts}", expected, "")
    return client


def _balance(settings: Settings, client: ChainClient, address: Address) -> Finding:
    subject = f"signer on {client.name}"
    expected = f"at least {settings.limits.min_native} for gas"
    try:
        held = coins(client.native(address))
    except (NodeUnreachable, NodeRefused, DataError) as error:
        return _line(subject, False, str(error), expected, "ask the node again")
    remedy = f"send native coin to {address}"
    return _line(subject, held >= settings.limits.min_native, f"{held:.4f} native", expected, remedy)


def bytecode(name: str, venue: Venue, client: ChainClient) -> Iterator[Finding]:
    """Yield whether there is code at each address of a venue. Raises what the node's trouble raises."""
    for contract, address in venue.contracts:
        size = len(client.code(address))
        yield _line(
            f"{name}.{contract}", size > 0, f"{size:,} bytes of code at {address}", "a contract",
            f"correct venues.{name}.contracts.{contract}",
        )  # fmt: skip


def _venue(name: str, venue: Venue, client: ChainClient) -> Iterator[Finding]:
    adapter = ADAPTERS[venue.protocol]()
    try:
        yield from bytecode(name, venue, client)
        for finding in client.run(adapter.check(venue), client.pin()):
            yield Finding(
                subject=f"{name}.{finding.subject}", ok=finding.ok, found=finding.found,
                expected=finding.expected, remedy="" if finding.ok else finding.remedy,
            )  # fmt: skip
        yield _calls(name, venue, adapter)
    except (DataError, TransientError) as error:
        yield _line(name, False, str(error), "answers to every read", f"see [venues.{name}]")


def _calls(name: str, venue: Venue, adapter: Adapter) -> Finding:
    rows = AllowList([(venue, adapter)]).rows()
    return _line(f"{name} allow-list", bool(rows), f"{len(rows)} calls may be sent", "at least one", "")


def _reading(settings: Settings, snapshot: Snapshot) -> Iterator[Finding]:
    accounts = len(snapshot.accounts)
    yield _line("reading", True, f"{accounts:,} accounts, {len(snapshot.gaps)} gaps", "a snapshot", "")
    for gap in snapshot.gaps:
        yield _line(f"{gap.what} {gap.key}", False, gap.reason, "a reading", "see the reason")
    names = settings.chain_names()
    for wallet in snapshot.wallets:
        if wallet.owner in settings.owners():
            yield from _allowances(wallet, names)


def _allowances(wallet: Wallet, names: Mapping[int, str]) -> Iterator[Finding]:
    """State what venues may take from a wallet: never wrong, but to be known."""
    for allowance in wallet.allowances:
        amount = "without limit" if allowance.amount >= UNLIMITED else f"{to_float(allowance.amount):,.2f}"
        where = names.get(wallet.chain_id, str(wallet.chain_id))
        yield _line(
            f"allowance on {where}",
            True,
            f"{allowance.spender} may take {amount} {allowance.asset}",
            "an approval is sent before the transaction that needs it",
            "",
        )


def failures(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """Return what is not as it should be."""
    return tuple(finding for finding in findings if not finding.ok)
