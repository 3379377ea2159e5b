"""The key, and what it can pay for. In dry-run mode nothing of it is looked at, so an auditor needs none."""

from collections.abc import Callable, Generator, Iterator
from typing import Final

from keeper.chain.client import ChainClient
from keeper.chain.errors import NodeRefused, NodeUnreachable
from keeper.config.settings import Settings
from keeper.execution.signer import Signer
from keeper.model.errors import ConfigError, DataError, TransientError
from keeper.model.reads import Address
from keeper.model.units import coins
from keeper.service.check.verdicts import Checked, Section
from keeper.service.keys import load_signer, load_urgent_signer

TYPICAL_GAS: Final = 1_000_000
"""Of one transaction to a venue: measured ones take 0.4 to 1.6 million."""

FEW: Final = 10
"""Transactions; a signer that can pay for no more is nearly empty."""

_HERE: Final = Section("signer")
_SIGNERS: Final = {
    "keystore": "a keystore and a password file of mode 0600",
    "remote": "a signer that signs for the address",
    "kms": "a key on secp256k1 of the address",
}


def signers(settings: Settings) -> Generator[Checked, None, tuple[Address, ...]]:
    """Yield what is found of the signers; return the addresses of those that can be used."""
    if settings.mode != "live" or settings.signer is None:
        yield _HERE.skipped("signer", "not loaded", 'nothing: mode is "dry-run"')
        return ()
    loaded = yield from _loaded("signer", "[signer]", settings.signer.kind, lambda: load_signer(settings))
    addresses: tuple[Address, ...] = () if loaded is None else (loaded.address,)
    if loaded is not None:
        yield from _owners(settings, loaded)
    if settings.signer.urgent is not None:
        kind = settings.signer.urgent.kind
        urgent = yield from _loaded(
            "urgent signer", "[signer.urgent]", kind, lambda: load_urgent_signer(settings)
        )
        addresses += () if urgent is None else (urgent.address,)
    return addresses


def _loaded(
    subject: str, key: str, kind: str, load: Callable[[], Signer | None]
) -> Generator[Checked, None, Signer | None]:
    try:
        loaded = load()
    except (ConfigError, TransientError, DataError) as error:
        yield _HERE.fail(subject, str(error), _SIGNERS[kind], f"see {key}")
        return None
    if loaded is not None:
        yield _HERE.ok(subject, loaded.address, _SIGNERS[kind])
    return loaded


def _owners(settings: Settings, loaded: Signer) -> Iterator[Checked]:
    for i, hedge in enumerate(settings.policy.hedge):
        yield _HERE.holds(
            hedge.owner == loaded.address,
            f"policy.hedge[{i}].owner",
            hedge.owner,
            f"the signer, {loaded.address}",
            "the signer trades its own account only: name it as owner, or hedge elsewhere",
        )


def balance(settings: Settings, client: ChainClient, address: Address, *, urgent: bool) -> Checked:
    """Return what a signer holds on a chain, and how many transactions that pays for."""
    subject, limits = f"{'urgent ' if urgent else ''}signer on {client.name}", settings.limits
    coin = settings.chains[client.name].native
    expected = f"at least {limits.min_native:g} {coin} for gas"
    try:
        held = client.native(address)
        price = client.gas_price(client.head())
    except (NodeUnreachable, NodeRefused, DataError) as error:
        return _HERE.fail(subject, str(error), expected, "ask the node again")
    spendable = max(0, held - int(limits.min_native * 10**18))
    now = spendable // max(1, price * TYPICAL_GAS)
    at_cap = spendable // max(1, limits.max_gas_wei_per_tx)
    found = (
        f"{coins(held):,.4f} {coin}: pays for {_many(now)} transactions at {price / 1e9:,.3g} gwei, "
        f"{_many(at_cap)} at the cap of limits.max_gas_wei_per_tx"
    )
    remedy = f"send {coin} to {address}"
    if coins(held) < limits.min_native:
        return _HERE.fail(subject, found, expected, remedy)
    if now < FEW:
        return _HERE.warn(subject, found, expected, remedy)
    return _HERE.ok(subject, found, expected)


def _many(number: int) -> str:
    return f"{number:,}" if number < 10_000 else "over 10,000"
