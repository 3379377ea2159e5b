"""Checks across tables, made on the raw file so that they are reported beside wrong values.

A value of the wrong type is the models' business: here it is passed over.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from keeper.config.errors import Problem
from keeper.config.report import shown, suggestion
from keeper.model.margin import Role
from keeper.model.plan import ActionKind
from keeper.protocols.registry import ADAPTERS

DOLLAR = "USD"
"""What a venue's dollar collateral is mapped to; no underlying."""


def cross_problems(raw: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield every name that points nowhere, every pair of tables that contradict each other."""
    chains, venues = _tables(raw, "chains"), _tables(raw, "venues")
    profiles = _tables(raw, "profiles")
    yield from _unique_chain_ids(chains)
    yield from _venues(venues, chains)
    yield from _profiles(profiles, chains)
    yield from _owners(profiles)
    yield from _hedges(_table(raw, "policy").get("hedge"), profiles, venues)
    yield from _volumes(_table(_table(raw, "policy"), "house"), venues)
    if raw.get("mode") == "live" and "signer" not in raw:
        yield Problem(
            key="signer",
            found="",
            expected='missing; mode = "live" needs keystore and password_file, or another kind of signer',
        )


def _unique_chain_ids(chains: Mapping[str, Mapping[str, Any]]) -> Iterator[Problem]:
    seen: dict[Any, str] = {}
    for name, chain in chains.items():
        chain_id = chain.get("chain_id")
        if isinstance(chain_id, int) and seen.setdefault(chain_id, name) != name:
            yield Problem(
                key=f"chains.{name}.chain_id",
                found=shown(chain_id),
                expected=f"chains.{seen[chain_id]} has it already; one table holds all endpoints",
            )


def _venues(
    venues: Mapping[str, Mapping[str, Any]], chains: Mapping[str, Mapping[str, Any]]
) -> Iterator[Problem]:
    seen: dict[tuple[str, str], str] = {}
    for name, venue in venues.items():
        protocol, chain = venue.get("protocol"), venue.get("chain")
        yield from _named(f"venues.{name}.chain", chain, chains, "chain")
        yield from _named(f"venues.{name}.protocol", protocol, ADAPTERS, "protocol")
        if isinstance(protocol, str) and protocol in ADAPTERS:
            yield from _contracts(name, _table(venue, "contracts"), ADAPTERS[protocol].contracts, protocol)
        if not (isinstance(protocol, str) and isinstance(chain, str)):
            continue
        if (first := seen.setdefault((protocol, chain), name)) != name:
            yield Problem(
                key=f"venues.{name}", found="", expected=f"venues.{first} is {protocol} on {chain} already"
            )


def _contracts(
    venue: str, given: Mapping[str, Any], needed: frozenset[str], protocol: str
) -> Iterator[Problem]:
    for contract in sorted(needed - given.keys()):
        yield Problem(
            key=f"venues.{venue}.contracts.{contract}",
            found="",
            expected=f"missing; {protocol} needs it",
        )
    for contract in sorted(given.keys() - needed):
        yield Problem(
            key=f"venues.{venue}.contracts.{contract}",
            found="",
            expected=f"unknown contract; {suggestion(contract, sorted(needed))}",
        )


def _profiles(
    profiles: Mapping[str, Mapping[str, Any]], chains: Mapping[str, Mapping[str, Any]]
) -> Iterator[Problem]:
    everybody_else: str | None = None
    for name, profile in profiles.items():
        for i, chain in enumerate(_list(profile, "chains")):
            yield from _named(f"profiles.{name}.chains[{i}]", chain, chains, "chain")
        if _list(profile, "owners"):
            continue
        if profile.get("role") == Role.OWN:
            yield Problem(
                key=f"profiles.{name}.owners",
                found="",
                expected='missing; role "own" hedges and moves collateral, so its owners must be named',
            )
        elif everybody_else is not None:
            yield Problem(
                key=f"profiles.{name}.owners",
                found="an empty list",
                expected=f"profiles.{everybody_else} takes all other accounts already; name owners in one",
            )
        else:
            everybody_else = name


def _owners(profiles: Mapping[str, Mapping[str, Any]]) -> Iterator[Problem]:
    """Two profiles may share an owner only on different chains."""
    seen: list[tuple[str, str, frozenset[str]]] = []
    for name, profile in profiles.items():
        on = frozenset(str(chain) for chain in _list(profile, "chains"))
        for i, owner in enumerate(_list(profile, "owners")):
            if not isinstance(owner, str):
                continue
            for other, address, theirs in seen:
                if address == owner.lower() and (not on or not theirs or on & theirs):
                    yield Problem(
                        key=f"profiles.{name}.owners[{i}]",
                        found=shown(owner),
                        expected=f"profiles.{other} has it already; an account is netted in one profile",
                    )
            seen.append((name, owner.lower(), on))


def _hedges(
    hedges: object, profiles: Mapping[str, Mapping[str, Any]], venues: Mapping[str, Mapping[str, Any]]
) -> Iterator[Problem]:
    seen: dict[tuple[str, str], int] = {}
    for i, hedge in enumerate(hedges if isinstance(hedges, list) else []):
        if not isinstance(hedge, dict):
            continue
        key = f"policy.hedge[{i}]"
        profile, underlying = hedge.get("profile"), hedge.get("underlying")
        venue = hedge.get("venue")
        yield from _named(f"{key}.profile", profile, profiles, "profile")
        yield from _named(f"{key}.venue", venue, venues, "venue")
        if isinstance(profile, str) and profiles.get(profile, {}).get("role", Role.OWN) != Role.OWN:
            yield Problem(
                key=f"{key}.profile", found=shown(profile), expected='expected a profile with role "own"'
            )
        if isinstance(venue, str) and venue in venues:
            yield from _hedge_venue(key, underlying, venue, venues[venue])
        if not (isinstance(profile, str) and isinstance(underlying, str)):
            continue
        if (first := seen.setdefault((profile, underlying), i)) != i:
            expected = f"policy.hedge[{first}] hedges it already"
            yield Problem(key=key, found=f"{profile}/{underlying}", expected=expected)


def _hedge_venue(key: str, underlying: object, venue: str, table: Mapping[str, Any]) -> Iterator[Problem]:
    protocol = table.get("protocol")
    adapter = ADAPTERS.get(protocol) if isinstance(protocol, str) else None
    if adapter is not None and ActionKind.HEDGE not in adapter.actions:
        able = [name for name, other in ADAPTERS.items() if ActionKind.HEDGE in other.actions]
        yield Problem(
            key=f"{key}.venue",
            found=shown(venue),
            expected=f"{protocol} cannot hedge; expected a venue of {' or '.join(sorted(able))}",
        )
    traded = {name for name in _table(table, "underlyings").values() if isinstance(name, str)}
    if isinstance(underlying, str) and underlying not in traded:
        yield Problem(
            key=f"{key}.underlying",
            found=shown(underlying),
            expected=f"not traded on {venue}; {suggestion(underlying, sorted(traded))}",
        )


def _volumes(house: Mapping[str, Any], venues: Mapping[str, Mapping[str, Any]]) -> Iterator[Problem]:
    """Charges for size need the daily volume of every underlying that a venue may bring."""
    charges = [
        key
        for key in ("impact", "concentration_rate")
        if isinstance(rate := house.get(key), int | float) and rate > 0
    ]
    given = _table(house, "daily_volume_usd")
    traded = {
        name
        for venue in venues.values()
        for name in _table(venue, "underlyings").values()
        if isinstance(name, str) and name != DOLLAR
    }
    for name in sorted(traded - given.keys()) if charges else ():
        yield Problem(
            key=f"policy.house.daily_volume_usd.{name}",
            found="",
            expected=f"missing; {' and '.join(charges)} need it for every underlying of a venue",
        )


def _named(key: str, name: object, names: Mapping[str, Any], kind: str) -> Iterator[Problem]:
    if isinstance(name, str) and name not in names:
        yield Problem(
            key=key, found=shown(name), expected=f"no such {kind}; {suggestion(name, sorted(names))}"
        )


def _table(raw: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = raw.get(name)
    return value if isinstance(value, dict) else {}


def _tables(raw: Mapping[str, Any], name: str) -> dict[str, Mapping[str, Any]]:
    return {key: table for key, table in _table(raw, name).items() if isinstance(table, dict)}


def _list(raw: Mapping[str, Any], name: str) -> list[Any]:
    value = raw.get(name)
    return value if isinstance(value, list) else []
