"""What Lyra's reverts mean for the keeper."""

from collections.abc import Mapping
from typing import Final

from keeper.protocols.adapter import Meaning

_HEALTHY: Final = "the position has enough collateral again"
_GONE: Final = "the position is already closed: liquidated, settled or closed by somebody else"

_MEANINGS: Final[Mapping[str, Meaning]] = {
    name: Meaning(text=text, benign=benign)
    for name, text, benign in (
        ("PositionNotLiquidatable", _HEALTHY, True),
        ("ERC721: owner query for nonexistent token", _GONE, True),
        ("BoardAlreadySettled", "the board is already settled", True),
        ("BoardExpired", "the board has expired: settle it, nothing can be traded or liquidated", True),
        ("BoardNotExpired", "the board has not expired yet", False),
        ("BoardMustBeSettled", "the board must be settled before its positions", False),
        ("InvalidBoardId", "there is no board of that number", False),
        ("InvalidStrikeId", "there is no strike of that number", False),
        ("BoardIsFrozen", "the board is frozen by the venue", False),
        ("MarketIsPaused", "the market is paused by the venue", False),
        ("AllMarketsPaused", "all markets are paused by the venue", False),
        ("RateIsInvalid", "the oracle's rate is marked invalid", False),
        ("TotalCostOutsideOfSpecifiedBounds", "the price moved beyond the bounds of the trade", False),
        (
            "AdjustmentResultsInMinimumCollateralNotBeingMet",
            "the collateral would be below the venue's minimum",
            False,
        ),
        (
            "AddingCollateralToInvalidPosition",
            "the position is closed or long: it takes no collateral",
            False,
        ),
        ("CannotAdjustInvalidPosition", "the position is closed, or of another strike or type", False),
        ("OnlyOwnerCanAdjustPosition", "only the owner may change the position", False),
        ("VolSkewOrBaseIvOutsideOfTradingBounds", "the trade would move vol or skew out of bounds", False),
        ("TradeDeltaOutOfRange", "the option's delta is outside what the venue trades", False),
        ("ForceCloseDeltaOutOfRange", "the option's delta is inside the range of normal closing", False),
        ("ForceCloseSkewOutOfRange", "the skew is outside the range of forced closing", False),
        ("TradingCutoffReached", "trading has ended for this expiry", False),
        ("TradeIterationsHasRemainder", "the amount is too small for the number of iterations", False),
        ("ExpectedNonZeroValue", "a value that must not be zero was zero", False),
        ("CannotUpdateExpiredBoard", "the board has expired: its greeks are not refreshed any more", True),
        ("InvalidBlockTimestamp", "the block's time lies before the last observation", False),
        ("InsufficientFreeLiquidityForBaseExchange", "the pool lacks free liquidity to buy base", False),
        ("LockingMoreQuoteThanIsFree", "the pool lacks free liquidity for this trade", False),
        ("SendPremiumNotEnoughCollateral", "the pool lacks free liquidity for the premium", False),
        ("NotEnoughFreeToReclaimInsolvency", "the pool lacks free liquidity to cover the insolvency", False),
        ("OptionValueDebtExceedsTotalAssets", "the pool owes more than it has", False),
        ("BaseTransferFailed", "the base token refused the transfer: check balance and allowance", False),
        ("QuoteTransferFailed", "the quote token refused the transfer: check balance and allowance", False),
        ("ERC20: transfer amount exceeds balance", "the payer's balance is too small", False),
        ("ERC20: transfer amount exceeds allowance", "the payer's allowance is too small", False),
        ("OutOfBaseCollateralForTransfer", "the venue is short of base collateral", False),
        ("OutOfBaseCollateralForExchangeAndTransfer", "the venue is short of base collateral", False),
        ("OutOfQuoteCollateralForTransfer", "the venue is short of quote collateral", False),
        ("BaseQuoteExchangeExceedsLimit", "the exchange of base for quote exceeds its limit", False),
        ("QuoteBaseExchangeExceedsLimit", "the exchange of quote for base exceeds its limit", False),
        ("ReceivedZeroFromExchange", "the exchange returned nothing", False),
    )
}


def meaning(error: str, args: Mapping[str, object]) -> Meaning | None:
    """Explain a custom error or an `Error(string)`; None when Lyra does not have it."""
    found = _MEANINGS.get(error)
    number = next((args[k] for k in ("boardId", "positionId") if k in args), None)
    if found is None or number is None:
        return found
    return Meaning(text=f"{found.text} (number {number})", benign=found.benign)
