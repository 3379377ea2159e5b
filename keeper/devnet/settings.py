"""The keeper's configuration for a devnet, in the terms of `config/example.toml`."""

from collections.abc import Iterator, Mapping
from typing import Final

from keeper.devnet.deployment import ARBITRUM, OPTIMISM, Deployment
from keeper.protocols.registry import ADAPTERS

HEDGE_BANDS: Final[Mapping[str, float]] = {"ETH": 2.0, "BTC": 0.1}
"""Net delta that the desk may keep, in units of the underlying: about 4,000 USD of each."""


def config_text(deployment: Deployment) -> str:
    """Return the text of a configuration file that lies in the deployment's folder."""
    return "\n".join(_lines(deployment)) + "\n"


def _lines(deployment: Deployment) -> Iterator[str]:
    lyra, curie = deployment.chain(OPTIMISM), deployment.chain(ARBITRUM)
    yield "# Written by `keeper devnet up` for its two local chains. config/example.toml explains every key."
    yield ""
    yield 'mode = "live"               # nothing is sent without --live on the command line as well'
    yield ""
    yield "[store]"
    yield 'path = "keeper.sqlite"'
    yield ""
    yield "[journal]"
    yield 'path = "journal.jsonl"'
    yield ""
    yield "[cycle]"
    yield "interval_s = 30"
    yield "poll_s = 0.5"
    for chain in deployment.chains:
        yield ""
        yield f"[chains.{chain.name}]"
        yield f"chain_id = {chain.chain_id}"
        yield f'endpoints = ["{chain.url}"]'
        yield "final_after_blocks = 3"
        yield "call_gas = 500_000_000"
    for name, chain in (("lyra", lyra), ("curie", curie)):
        yield ""
        yield f"[venues.{name}]"
        yield f'protocol = "{chain.protocol}"'
        yield f'chain = "{chain.name}"'
        yield f"from_block = {chain.from_block}"
        yield ""
        yield f"[venues.{name}.contracts]"
        for contract in sorted(ADAPTERS[chain.protocol].contracts):
            yield f'{contract} = "{chain.address(contract)}"'
        yield ""
        yield f"[venues.{name}.underlyings]"
        if name == "lyra":
            yield 'sETH = "ETH"'
        else:
            for symbol in ("ETH", "BTC"):
                yield f'"{chain.address(f"v{symbol}")}" = "{symbol}"'
    yield from _policy(deployment)


def _policy(deployment: Deployment) -> Iterator[str]:
    yield f"""
[profiles.desk]
role = "own"
owners = ["{deployment.signer}"]

[profiles.watched]
role = "watch"
owners = []                 # everybody else"""
    for underlying, band in HEDGE_BANDS.items():
        yield f"""
[[policy.hedge]]
profile = "desk"
underlying = "{underlying}"
venue = "curie"
owner = "{deployment.signer}"
band = {band}
max_trade = 100.0"""
    yield """
[policy.staleness]          # the oracles here answer when the market is moved, and not in between
max_quote_age_s = 2_592_000
max_surface_age_s = 2_592_000

[policy.top_up]
max_usd = 100_000.0

[policy.liquidation]
enabled = true
max_takeover_usd = 250_000.0

[signer]
keystore = "signer.json"
password_file = "signer.password"

[limits]
max_gas_wei_per_tx = 50_000_000_000_000_000
max_gas_wei_per_hour = 500_000_000_000_000_000
max_gas_wei_per_day = 2_000_000_000_000_000_000"""
