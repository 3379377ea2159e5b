"""From an action to intents, and what gas may cost for it."""

from dataclasses import replace

import pytest

from keeper.chain.transactions import Tx
from keeper.execution.encode import fee_budget, intents
from keeper.execution.moved_value import Movement
from keeper.model.plan import Liquidate, Reason, action_id
from keeper.model.quote import GasPrice, Quote
from keeper.model.reads import Address
from keeper.model.snapshot import BlockRef, Snapshot
from keeper.model.units import ONE, Wad, Wei
from tests.execution.bell import decision, seen
from tests.execution.simulated_chain import SIGNER

LIQUIDATION = Liquidate(
    subject="lyra:10:7",
    reason=Reason(text="below its requirement"),
    protocol="lyra",
    chain_id=10,
    account="lyra:10:7",
    owner=SIGNER,
    instrument="lyra:10:1600-P",
    max_size=Wad(-ONE),
    takes_over=False,
    reward_usd=Wad(30 * ONE),
    cost_usd=Wad(ONE),
)
BLOCK = BlockRef(chain_id=10, number=1, hash="0x1", parent_hash="0x0", timestamp_s=100)
ETH = Quote(
    subject="ETH", kind="reference", price=Wad(1500 * ONE), source="median", chain_id=10, observed_at_s=100
)
GAS = GasPrice(chain_id=10, wei_per_gas=10**9, native_underlying="ETH", observed_at_s=100)
PRICED: Snapshot = replace(seen([BLOCK]), quotes=(ETH,), gas=(GAS,))
CAP = Wei(10**17)


def test_a_liquidation_may_cost_no_more_gas_than_its_reward() -> None:
    assert fee_budget(LIQUIDATION, PRICED, CAP) == 2 * 10**16  # 30 USD at 1500 USD
    rich = replace(LIQUIDATION, reward_usd=Wad(3000 * ONE))
    assert fee_budget(rich, PRICED, CAP) == CAP


@pytest.mark.parametrize(
    "snapshot",
    [
        seen([BLOCK]),
        replace(PRICED, quotes=()),
        replace(PRICED, gas=()),
        replace(PRICED, quotes=(replace(ETH, kind="index"),)),
        replace(PRICED, quotes=(replace(ETH, price=Wad(0)),)),
    ],
)
def test_without_a_trusted_price_the_cap_stands(snapshot: Snapshot) -> None:
    assert fee_budget(LIQUIDATION, snapshot, CAP) == CAP


def test_what_earns_nothing_is_bound_by_the_cap() -> None:
    assert fee_budget(decision(1, 10), PRICED, CAP) == CAP


def test_each_step_is_an_intent_of_its_own_and_each_episode_too() -> None:
    action = decision(1, 10)
    same = Tx(to=Address("0xbE11000000000000000000000000000000000001"), data="0x01")

    def made(episode: int) -> list[str]:
        planned = intents(
            (same, same),
            action,
            action_id=action_id(action),
            episode=episode,
            cycle_id="c",
            sender=SIGNER,
            valid_until_block=50,
            urgent=True,
            moves=Movement(usd=Wad(7), asset="BELL", outgoing=Wad(3)),
        )
        assert [(p.urgent, p.moved_usd, p.outgoing) for p in planned] == [(True, 0, 0), (True, 7, 3)]
        assert [p.sequence for p in planned] == [0, 1]
        assert {(p.kind, p.subject) for p in planned} == {("move_collateral", "bell:10:1")}
        return [p.intent.id for p in planned]

    assert made(0) == made(0)
    assert len({*made(0), *made(1)}) == 4
