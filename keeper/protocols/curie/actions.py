"""Actions as calls to Curie's contracts.

Rounding never goes against what was decided: sizes and deposits round toward zero, and the bound of a trade
toward the better price.
"""

from typing import Final, TypeAlias

from keeper.model.plan import Hedge, Liquidate, MoveCollateral
from keeper.model.reads import Address, Failed, Reads, Send
from keeper.model.units import ONE, to_raw
from keeper.model.venue import Venue
from keeper.protocols.answers import Asked, answers_to, key_of, unanswered, why
from keeper.protocols.curie.contracts import CLEARING, VAULT, Contracts, risk_factors
from keeper.protocols.errors import UnencodableActionError
from keeper.protocols.tokens import approvals, token_call

Sends: TypeAlias = Reads[tuple[Send, ...]]

_NO_REFERRAL: Final = bytes(32)
_NO_PRICE_LIMIT: Final = 0
"""A price limit would fill in part without a revert; the bound on the opposite amount reverts instead."""


def base_of(venue: Venue, kind: str, instrument: str) -> Address:
    """Return the base token of one of the venue's instruments. Raises `UnencodableActionError`."""
    key = key_of(venue, instrument)
    if key is None or key not in risk_factors(venue):
        raise UnencodableActionError(venue.id, kind, f"{instrument} is not one of its markets")
    return Address(key)


def trader_of(venue: Venue, kind: str, account: str) -> Address:
    """Return the trader of one of the venue's accounts. Raises `UnencodableActionError`."""
    key = key_of(venue, account)
    if key is None or not key.startswith("0x"):
        raise UnencodableActionError(venue.id, kind, f"{account} is not one of its accounts")
    return Address(key)


def hedge(contracts: Contracts, action: Hedge, sender: Address) -> tuple[Send, ...]:
    """Trade an exact size of base; opening, reducing, closing and turning round are the same call.

    The bound is what the limit price makes of the size, fees included: at most that is paid for a long, at
    least that is received for a short.
    """
    venue = contracts.venue
    base = base_of(venue, action.kind, action.instrument)
    trader = trader_of(venue, action.kind, action.account)
    if action.size == 0 or action.limit_price <= 0 or action.deadline_s <= 0:
        raise UnencodableActionError(
            venue.id,
            action.kind,
            "size, limit price and deadline must be set, were "
            f"{action.size}, {action.limit_price}, {action.deadline_s}",
        )
    is_short = action.size < 0
    size, bound = abs(action.size), trade_bound(action)
    if bound == 0:
        raise UnencodableActionError(
            venue.id, action.kind, f"a size of {size} at {action.limit_price} leaves no bound on the price"
        )
    trade = {
        "baseToken": base,
        "isBaseToQuote": is_short,
        "isExactInput": is_short,
        "amount": int(size),
        "oppositeAmountBound": int(bound),
        "deadline": action.deadline_s,
        "sqrtPriceLimitX96": _NO_PRICE_LIMIT,
        "referralCode": _NO_REFERRAL,
    }
    params = tuple(trade.values())
    if sender == trader:
        return (contracts.send(CLEARING, "ClearingHouse", "openPosition", params),)
    return (contracts.send(CLEARING, "ClearingHouse", "openPositionFor", trader, params),)


def trade_bound(action: Hedge) -> int:
    """Return the most that a long pays, or the least that a short receives, fees included. USD, 18 places."""
    value = abs(action.size) * action.limit_price
    return int(-(-value // ONE) if action.size < 0 else value // ONE)


def move_collateral(contracts: Contracts, action: MoveCollateral, sender: Address) -> Sends:
    """Deposit the settlement token for anybody, or withdraw the sender's own.

    The vault counts in the token's own places, which are read, not assumed.
    """
    venue, vault, token = contracts.venue, contracts["Vault"], contracts["SettlementToken"]
    trader = trader_of(venue, action.kind, action.account)
    asked: Asked = {
        "symbol": contracts.settlement("symbol"),
        "decimals": contracts.settlement("decimals"),
        "allowed": token_call(token, "allowance", sender, vault),
    }
    answers = yield from answers_to(asked)
    if failed := unanswered(answers, *answers):
        raise UnencodableActionError(venue.id, action.kind, why(failed))
    raw = raw_amount(contracts, action, symbol=answers["symbol"], decimals=answers["decimals"])
    if action.direction == "withdraw":
        if sender != trader:
            raise UnencodableActionError(
                venue.id, action.kind, f"only {trader} may withdraw from his own account"
            )
        return (contracts.send(VAULT, "Vault", "withdraw", token, raw),)
    deposit = (
        contracts.send(VAULT, "Vault", "deposit", token, raw)
        if sender == trader
        else contracts.send(VAULT, "Vault", "depositFor", trader, token, raw)
    )
    return (*approvals(token, vault, raw, answers["allowed"]), deposit)


def raw_amount(contracts: Contracts, action: MoveCollateral, *, symbol: str, decimals: int) -> int:
    """Return the amount in the settlement token's own places. Raises `UnencodableActionError`."""
    venue = contracts.venue
    if action.asset != symbol:
        raise UnencodableActionError(
            venue.id, action.kind, f"only {symbol} is moved here, not {action.asset}"
        )
    raw = to_raw(action.amount, decimals)
    if raw <= 0:
        raise UnencodableActionError(
            venue.id, action.kind, f"{action.amount} is nothing in {decimals} places"
        )
    return raw


def liquidate(contracts: Contracts, action: Liquidate) -> Sends:
    """Cancel the trader's orders in every market, since any of them stands in the way, then take over.

    At most the size that was decided is taken: the contract takes less where less is allowed.
    """
    venue = contracts.venue
    base = base_of(venue, action.kind, action.instrument)
    trader = trader_of(venue, action.kind, action.account)
    if action.max_size == 0:
        raise UnencodableActionError(venue.id, action.kind, "a size of 0 would mean as much as possible")
    has_orders, bases = yield (
        contracts.balance("hasOrder", trader),
        contracts.balance("getBaseTokens", trader),
    )
    orders: Asked = {}
    if has_orders is not False and not isinstance(bases, Failed):
        orders = {b: contracts.orders("getOpenOrderIds", trader, b) for b in sorted(bases)}
    resting = yield from answers_to(orders)
    if failed := unanswered({"orders": has_orders, "bases": bases, **resting}, "orders", "bases", *orders):
        raise UnencodableActionError(venue.id, action.kind, why(failed))
    return (
        *(contracts.cancel_orders(trader, Address(str(b))) for b in orders if resting[b]),
        contracts.liquidate(trader, base, int(action.max_size)),
    )
