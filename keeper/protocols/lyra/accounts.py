"""Lyra's accounts: one position each, its collateral, its requirement, and what its liquidation pays."""

from dataclasses import dataclass, replace
from typing import Any, Final

from keeper.model.book import (
    Account,
    Balance,
    Bounty,
    LiquidationMode,
    Position,
    Requirement,
    SettlementMode,
)
from keeper.model.errors import UnfitValueError
from keeper.model.instrument import Right
from keeper.model.reads import Address, Failed
from keeper.model.units import ZERO, Wad, mul
from keeper.protocols.answers import Answers, Asked, unanswered
from keeper.protocols.lyra.contracts import LIQUIDATION_GAS, Contracts, OptionType, PositionState
from keeper.protocols.lyra.market import Market, Strike, option_of

NOBODY: Final = Address("0x000000000000000000000000000000000000dEaD")
"""Beneficiary of simulated liquidations: what it gains is the reward, free of the owner's refund."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """A position as the token contract stores it. 18 places."""

    id: int
    strike_id: int
    type: OptionType
    amount: Wad
    collateral: Wad
    """sETH for a base-collateralised call, else sUSD; 0 for a long."""

    state: PositionState

    @property
    def struct(self) -> tuple[int, ...]:
        """The contract's own struct, in the ABI's order."""
        return (self.id, self.strike_id, int(self.type), self.amount, self.collateral, int(self.state))


def holding_from(answer: Any) -> Holding:
    """Read one struct of `getOptionPositions`. Raises `UnfitValueError` for a type or state unknown to us."""
    try:
        kind, state = OptionType(answer["optionType"]), PositionState(answer["state"])
    except ValueError as problem:
        raise UnfitValueError("position", str(problem), row=answer["positionId"]) from None
    return Holding(
        id=answer["positionId"],
        strike_id=answer["strikeId"],
        type=kind,
        amount=Wad(answer["amount"]),
        collateral=Wad(answer["collateral"]),
        state=state,
    )


def ask_requirement(
    asked: Asked, contracts: Contracts, market: Market, holding: Holding, strike: Strike
) -> None:
    """Add the contract's requirement, and its own opinion on liquidation."""
    if not holding.type.is_short or strike.settled_at is not None or isinstance(market.spot, Failed):
        return
    asked["minimum", holding.id] = contracts.greeks(
        "getMinCollateral", int(holding.type), strike.price, strike.expiry_s, market.spot, holding.amount
    )
    asked["below", holding.id] = contracts.token(
        "canLiquidate", holding.struct, strike.expiry_s, strike.price, market.spot
    )


def is_candidate(market: Market, holding: Holding, strike: Strike, answers: Answers) -> bool:
    """Tell whether the contract may be willing to liquidate, so that it is worth asking it outright.

    `canLiquidate` knows neither expiry, nor frozen boards, nor pauses; the liquidation refuses all three.
    """
    return (
        answers.get(("below", holding.id)) is True
        and strike.expiry_s >= market.at.timestamp_s
        and not strike.frozen
        and market.paused is not True
    )


def ask_proof(asked: Asked, contracts: Contracts, holding: Holding) -> None:
    """Add the liquidation itself, simulated: what its beneficiary holds before and after."""
    token = contracts.base if holding.type is OptionType.SHORT_CALL_BASE else contracts.quote
    balance = token("balanceOf", NOBODY)
    asked["unpaid", holding.id] = balance
    asked["paid", holding.id] = replace(balance, before=(contracts.liquidate(holding.id, NOBODY),))


def account_from(
    market: Market, holding: Holding, strike: Strike, owner: Address, answers: Answers
) -> Account | Failed:
    """Return the account, or the missing answer that keeps it from being known.

    A liquidation that the contract refuses makes the account not liquidatable; one that nobody answered
    leaves it unknown.
    """
    if strike.settled_at is not None:
        return _settled(market, holding, strike, strike.settled_at, owner)
    if not holding.type.is_short:
        return _account(market, holding, owner, strike)
    if isinstance(market.spot, Failed):
        return market.spot
    if failed := unanswered(answers, ("minimum", holding.id), ("below", holding.id)):
        return failed
    in_base = holding.type is OptionType.SHORT_CALL_BASE
    usd = market.spot if in_base else None
    equity = _usd(holding.collateral, usd)
    minimum = _usd(Wad(answers["minimum", holding.id]), usd)
    reward = _reward(holding, answers)
    if isinstance(reward, Failed) and not reward.benign:
        return reward
    account = _account(market, holding, owner, strike)
    expired = strike.expiry_s < market.at.timestamp_s
    return replace(
        account,
        balances=(_collateral(market, holding, holding.collateral),),
        venue=Requirement(equity=equity, initial=minimum, maintenance=minimum),
        withdrawable=Wad(max(0, equity - minimum)),
        # An expired position takes collateral, but nothing depends on it any more.
        margin_asset=None if expired else market.base_symbol if in_base else market.quote_symbol,
        margin_underlying=market.underlying if in_base and not expired else None,
        liquidatable=isinstance(reward, int),
        bounty=_bounty(account, _usd(reward, usd)) if isinstance(reward, int) else None,
    )


def _usd(amount: Wad, spot: Wad | None) -> Wad:
    return amount if spot is None else mul(amount, spot)


def _reward(holding: Holding, answers: Answers) -> Wad | Failed | None:
    if ("paid", holding.id) not in answers:
        return None
    if failed := unanswered(answers, ("unpaid", holding.id), ("paid", holding.id)):
        return failed
    return Wad(answers["paid", holding.id] - answers["unpaid", holding.id])


def _bounty(account: Account, reward_usd: Wad) -> Bounty:
    (position,) = account.positions
    return Bounty(
        instrument=position.instrument,
        size=position.size,
        reward_usd=reward_usd,
        takes_over=False,
        gas=LIQUIDATION_GAS,
    )


def _account(market: Market, holding: Holding, owner: Address, strike: Strike) -> Account:
    venue = market.venue
    size = Wad(-holding.amount) if holding.type.is_short else holding.amount
    return Account(
        id=f"{venue.id}:{holding.id}",
        protocol=venue.protocol,
        chain_id=venue.chain_id,
        key=str(holding.id),
        owner=owner,
        balances=(),
        positions=(Position(instrument=option_of(market, strike, holding.type.right).id, size=size),),
        venue=Requirement(equity=ZERO, initial=ZERO, maintenance=ZERO),
        liquidatable=False,
        liquidation_mode=LiquidationMode.PERMISSIONLESS,
        settlement_mode=SettlementMode.SYNC,
    )


def _collateral(market: Market, holding: Holding, amount: Wad) -> Balance:
    if holding.type is OptionType.SHORT_CALL_BASE:
        return Balance(asset=market.base_symbol, amount=amount, underlying=market.underlying)
    return Balance(asset=market.quote_symbol, amount=amount)


def _settled(
    market: Market, holding: Holding, strike: Strike, price: Wad, owner: Address
) -> Account | Failed:
    balance = _collateral(market, holding, settlement_claim(holding, strike, price))
    if balance.underlying is not None and isinstance(market.spot, Failed):
        return market.spot
    usd = market.spot if balance.underlying is not None and not isinstance(market.spot, Failed) else None
    return replace(
        _account(market, holding, owner, strike),
        balances=(balance,),
        positions=(),
        venue=Requirement(equity=_usd(balance.amount, usd), initial=ZERO, maintenance=ZERO),
    )


def settlement_claim(holding: Holding, strike: Strike, price: Wad) -> Wad:
    """Return what `settleOptions` pays the owner, in the position's collateral asset, >= 0.

    Longs receive the intrinsic value; shorts their collateral less what they owe, at least nothing:

        long call    q max(0, S - K)             short call, base     C - q r
        long put     q max(0, K - S)             short call, quote    C - q max(0, S - K)
                                                 short put, quote     C - q max(0, K - S)

    with S the price the board was settled at and r its `strikeToBaseReturned`.
    Source: `ShortCollateral.settleOptions`; the conformance suite compares it with what owners receive.
    """
    if holding.type is OptionType.SHORT_CALL_BASE:
        owed = mul(holding.amount, strike.base_per_short_call)
    else:
        moneyness = price - strike.price if holding.type.right is Right.CALL else strike.price - price
        owed = mul(holding.amount, Wad(max(0, moneyness)))
    return Wad(max(0, holding.collateral - owed)) if holding.type.is_short else owed
