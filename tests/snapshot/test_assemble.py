"""Merging and gating, without a chain: contradictions, strangers, skew, and order."""

import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeper.market.depth import sqrt_price_x96
from keeper.model.book import (
    Account,
    Allowance,
    Balance,
    LiquidationMode,
    Position,
    Requirement,
    SettlementMode,
    Wallet,
)
from keeper.model.instrument import Perp
from keeper.model.params import StalenessParams
from keeper.model.quote import GasPrice, PoolState, Quote
from keeper.model.reads import Address, Failed
from keeper.model.snapshot import BlockRef, Gap, VenueState
from keeper.model.units import ONE, Wad
from keeper.protocols.adapter import Found
from keeper.snapshot.assemble import assemble
from keeper.snapshot.look import Look
from keeper.snapshot.merge import unique, wallets_at
from keeper.snapshot.venue import Seen

NOW_S = 1_700_000_000
LIMITS = StalenessParams(max_quote_age_s=3600, max_surface_age_s=86_400, max_skew_s=120, max_deviation=0.05)
ALICE = Address("0x90F79bf6EB2c4f870365E785982E1f101E93b906")
BOB = Address("0x15d34AAf54267DB7D7c367839AAf71A00a2C6A65")
SPENDER = Address("0x82ac2CE43e33683c58BE4cDc40975E73aA50f459")


def block(chain_id: int, *, age_s: int = 0) -> BlockRef:
    return BlockRef(
        chain_id=chain_id,
        number=chain_id,
        hash=f"0x{chain_id:x}",
        parent_hash="0x",
        timestamp_s=NOW_S - age_s,
    )


def perp(chain_id: int, *, key: str = "ETH", underlying: str = "ETH") -> Perp:
    return Perp(id=f"curie:{chain_id}:{key}", underlying=underlying, settle="USDC", funding_interval_s=86_400)


def account(chain_id: int, key: str, instrument: str | None = None) -> Account:
    held = () if instrument is None else (Position(instrument=instrument, size=ONE),)
    return Account(
        id=f"curie:{chain_id}:{key}",
        protocol="curie",
        chain_id=chain_id,
        key=key,
        owner=ALICE,
        balances=(),
        positions=held,
        venue=Requirement(equity=ONE, initial=ONE, maintenance=ONE),
        liquidatable=False,
        liquidation_mode=LiquidationMode.PERMISSIONLESS,
        settlement_mode=SettlementMode.SYNC,
    )


def quote(
    chain_id: int, *, kind: str = "index", subject: str = "ETH", price: int = 2000, age_s: int = 0
) -> Quote:
    return Quote(
        subject=subject,
        kind=kind,  # type: ignore[arg-type]
        price=Wad(price * ONE),
        source=f"curie:{chain_id}:x",
        chain_id=chain_id,
        observed_at_s=NOW_S - age_s,
    )


def state(chain_id: int, **fields: object) -> VenueState:
    given_fields: dict[str, object] = {
        "accounts": (),
        "instruments": (perp(chain_id),),
        "quotes": (quote(chain_id),),
        **fields,
    }
    return VenueState(**given_fields)  # type: ignore[arg-type]


def look(chain_id: int, *states: VenueState, age_s: int = 0, **fields: object) -> Look:
    given_fields: dict[str, object] = {
        "block": block(chain_id, age_s=age_s),
        "seen": {str(i): Seen(found=Found(), state=s) for i, s in enumerate(states)},
        "natives": {},
        "gas": None,
        "gaps": (),
        **fields,
    }
    return Look(**given_fields)  # type: ignore[arg-type]


def gaps_of(*looks: Look) -> list[tuple[str, str]]:
    return [(g.what, g.key) for g in assemble(looks, (), LIMITS).gaps]


def test_what_was_lost_beforehand_is_kept() -> None:
    lost = Gap(what="chain", key="10", reason="down", chain_id=10)
    assert assemble([], [lost], LIMITS).gaps == (lost,)


def test_an_instrument_that_nobody_described_takes_its_account_along() -> None:
    found = assemble(
        [look(1, state(1, accounts=(account(1, "a", "curie:1:SOL"), account(1, "b", "curie:1:ETH"))))],
        (),
        LIMITS,
    )
    assert [a.key for a in found.accounts] == ["b"]
    assert [(g.what, g.key) for g in found.gaps] == [("account", "curie:1:a")]


def test_readings_that_contradict_each_other_are_both_left_out() -> None:
    one, other = account(1, "a"), replace(account(1, "a"), liquidatable=True)
    found = assemble([look(1, state(1, accounts=(one,)), state(1, accounts=(other,)))], (), LIMITS)
    assert found.accounts == ()
    assert [(g.what, g.key) for g in found.gaps] == [("account", "curie:1:a")]
    twice = assemble([look(1, state(1, accounts=(one,)), state(1, accounts=(one,)))], (), LIMITS)
    assert twice.accounts == (one,)
    assert twice.gaps == ()


@pytest.mark.parametrize(("age_s", "behind"), [(120, False), (121, True)])
def test_a_chain_that_lags_the_others_is_a_gap(age_s: int, behind: bool) -> None:
    found = gaps_of(look(1, state(1)), look(2, state(2), age_s=age_s))
    assert (("skew", "2") in found) is behind
    assert ("skew", "1") not in found


def test_a_stale_mark_is_left_out() -> None:
    marks = (quote(1, kind="mark", subject="curie:1:ETH", age_s=3601), quote(1))
    found = assemble([look(1, state(1, quotes=marks))], (), LIMITS)
    assert [(q.kind, q.subject) for q in found.quotes] == [("index", "ETH"), ("reference", "ETH")]
    assert [(g.what, g.key) for g in found.gaps] == [("quote", "curie:1:ETH")]


def test_a_stale_index_is_left_out_and_there_is_no_reference() -> None:
    found = assemble([look(1, state(1, quotes=(quote(1, age_s=3601),)))], (), LIMITS)
    assert found.quotes == ()
    assert {g.key for g in found.gaps} == {"curie:1:x/ETH", "ETH"}


@pytest.mark.parametrize("where", ["position", "collateral", "wallet", "gas"])
def test_everything_that_is_valued_needs_a_price(where: str) -> None:
    """`BTC` is quoted by nobody here."""
    btc = (Balance(asset="WBTC", amount=ONE, underlying="BTC"),)
    wallet = Wallet(owner=ALICE, chain_id=1, native=Wad(0), balances=btc)
    gas = GasPrice(chain_id=1, wei_per_gas=1, native_underlying="BTC", observed_at_s=NOW_S)
    match where:
        case "position":
            instruments = (perp(1, key="BTC", underlying="BTC"),)
            held = state(1, accounts=(account(1, "a", "curie:1:BTC"),), instruments=instruments)
            found = look(1, held)
        case "collateral":
            found = look(1, state(1, accounts=(replace(account(1, "a"), balances=btc),)))
        case "wallet":
            found = look(1, state(1, wallets=(wallet,)), natives={ALICE: ONE})
        case _:
            found = look(1, state(1), gas=gas)
    assert gaps_of(found) == [("quote", "BTC")]


def test_wallets_are_put_together_from_all_venues() -> None:
    usdc, eth = Balance(asset="USDC", amount=ONE), Balance(asset="sETH", amount=ONE, underlying="ETH")
    allowed = Allowance(asset="USDC", spender=SPENDER, amount=ONE)
    seen = [
        Wallet(owner=ALICE, chain_id=1, native=Wad(0), balances=(usdc,), allowances=(allowed,)),
        Wallet(owner=ALICE, chain_id=1, native=Wad(0), balances=(eth, usdc)),
        Wallet(owner=BOB, chain_id=1, native=Wad(0), balances=(replace(usdc, amount=Wad(5)),)),
    ]
    wallets, gaps = wallets_at(block(1), seen, {ALICE: Wad(7), BOB: Wad(8)})
    assert gaps == []
    bob, alice = wallets
    assert (alice.native, alice.balances, alice.allowances) == (7, (usdc, eth), (allowed,))
    assert (bob.native, bob.balances) == (8, (replace(usdc, amount=Wad(5)),))


def test_a_wallet_without_its_native_coin_is_a_gap() -> None:
    wallets, (gap,) = wallets_at(block(1), [], {ALICE: Failed("getEthBalance", "nobody answered")})
    assert wallets == ()
    assert (gap.what, gap.key, gap.chain_id) == ("wallet", f"1:{ALICE}", 1)


def test_two_venues_that_see_different_balances_see_none() -> None:
    seen = [
        Wallet(owner=ALICE, chain_id=1, native=Wad(0), balances=(Balance(asset="USDC", amount=Wad(n)),))
        for n in (1, 2)
    ]
    (wallet,), (gap,) = wallets_at(block(1), seen, {ALICE: ONE})
    assert wallet.balances == ()
    assert (gap.what, gap.key) == ("wallet", f"1:{ALICE}/USDC")


def test_wallets_of_different_chains_do_not_mix() -> None:
    looks = [
        look(
            chain_id,
            state(
                chain_id,
                wallets=(
                    Wallet(
                        owner=ALICE,
                        chain_id=chain_id,
                        native=Wad(0),
                        balances=(Balance(asset="USDC", amount=Wad(chain_id)),),
                    ),
                ),
            ),
            natives={ALICE: Wad(10 * chain_id)},
        )
        for chain_id in (2, 1)
    ]
    found = assemble(looks, (), LIMITS)
    assert [(w.chain_id, w.native, w.balances[0].amount) for w in found.wallets] == [(1, 10, 1), (2, 20, 2)]


POOL = PoolState(
    instrument="curie:1:ETH",
    sqrt_price_x96=sqrt_price_x96(76_012),
    tick=76_012,
    liquidity=10**22,
    tick_spacing=60,
    fee=Wad(10**15),
    max_tick_move=1000,
    chain_id=1,
    source="s",
    observed_at_s=NOW_S,
)


def test_pools_become_depth() -> None:
    found = assemble([look(1, state(1, pools=(POOL,)))], (), LIMITS)
    assert [d.instrument for d in found.depth] == ["curie:1:ETH"]
    assert found.depth[0].bids[0].price < found.depth[0].asks[0].price


@pytest.mark.parametrize(
    "change",
    [
        {"sqrt_price_x96": 0},
        {"tick": 76_013},
        {"tick": 76_010},
        {"tick": 900_000},
        {"liquidity": -1},
        {"max_tick_move": -1},
    ],
)
def test_a_pool_that_cannot_be_is_a_gap(change: dict[str, int]) -> None:
    found = assemble([look(1, state(1, pools=(replace(POOL, **change),)))], (), LIMITS)  # type: ignore[arg-type]
    assert found.depth == ()
    assert [(g.what, g.key) for g in found.gaps] == [("depth", "curie:1:ETH")]


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 2)), max_size=12), st.integers(0, 100))
def test_unique_does_not_depend_on_order(items: list[tuple[str, int]], seed: int) -> None:
    shuffled = list(items)
    random.Random(seed).shuffle(shuffled)
    kept, gaps = unique(items, lambda i: i[0], "x")
    assert unique(shuffled, lambda i: i[0], "x") == (kept, gaps)
    assert {k for k, _ in kept} | {g.key for g in gaps} == {k for k, _ in items}
    assert all(len({v for k, v in items if k == key}) == 1 for key, _ in kept)


@given(st.permutations(list(range(6))), st.permutations(["a", "b", "c", "d"]))
def test_a_snapshot_does_not_depend_on_order(chains: list[int], keys: list[str]) -> None:
    def built(order: list[int], names: list[str]) -> str:
        looks = [
            look(
                n + 1,
                state(n + 1, accounts=tuple(account(n + 1, k, f"curie:{n + 1}:ETH") for k in names)),
                natives={ALICE: Wad(n), BOB: Wad(n)} if n % 2 else {BOB: Wad(n), ALICE: Wad(n)},
                gaps=tuple(Gap(what="account", key=k, reason="r", chain_id=n) for k in names),
                age_s=n * 30,
            )
            for n in order
        ]
        return assemble(looks, (), LIMITS).digest

    assert built(chains, keys) == built(sorted(chains), sorted(keys))
