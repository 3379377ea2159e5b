"""What Curie's reverts mean for the keeper. They are always `Error(string)` with a code as text."""

from collections.abc import Mapping
from typing import Final

from keeper.protocols.adapter import Meaning

_MEANINGS: Final[Mapping[str, Meaning]] = {
    code: Meaning(text=text, benign=benign)
    for code, text, benign in (
        ("CH_EAV", "the account has enough value again", True),
        ("CH_PSZ", "the position is already closed", True),
        ("CH_NEXO", "the maker has enough margin again: his orders may stay", True),
        ("CH_WLD", "the position has turned round: the size has the wrong sign", False),
        ("CH_CLWTISO", "the trader still has orders: cancel them first", False),
        ("CH_NEFCI", "the sender lacks initial margin for this", False),
        ("CH_NEFCM", "reducing would leave less than maintenance margin: only a liquidator can", False),
        ("CH_IIC", "the insurance fund cannot cover the bad debt", False),
        ("CH_MNO", "the market is paused or closed", False),
        ("CH_MP", "the market is paused", False),
        ("Pausable: paused", "the venue is paused", False),
        ("CH_TE", "the deadline has passed", False),
        ("CH_TLRL", "too little received for a long: the price moved beyond the bound", False),
        ("CH_TMRL", "too much requested for a long: the price moved beyond the bound", False),
        ("CH_TLRS", "too little received for a short: the price moved beyond the bound", False),
        ("CH_TMRS", "too much requested for a short: the price moved beyond the bound", False),
        ("CH_F0S", "the pool has no liquidity at this price", False),
        ("CH_SHNAOPT", "the owner has not approved the sender to trade for him", False),
        ("CH_OMPS", "the pool is more than 10 % off the index", False),
        ("EX_OPB", "the trade would push the pool more than 10 % off the index", False),
        ("EX_OPLAS", "the trade would move the pool more ticks than are allowed within 15 s", False),
        ("EX_MIP", "the market allows no trades: its tick limit is 0", False),
        ("EX_BTNE", "there is no such market", False),
        ("AB_MNE", "the account is in as many markets as it may", False),
        ("V_NEFC", "not enough free collateral", False),
        ("V_ZA", "the amount is zero", False),
        ("V_OSCT", "the token is not taken as collateral", False),
        ("V_GTSTBC", "the vault's cap on the settlement token is reached", False),
        ("V_GTDC", "the vault's cap on the token is reached", False),
        ("V_DFZA", "the deposit is for the zero address", False),
        ("V_NL", "the collateral may not be liquidated", True),
        ("V_MSAE", "more settlement than may be repaid", False),
        ("V_MCAE", "more collateral than may be liquidated", False),
        ("OLD", "the pool has less history than the mark price needs", False),
        ("ERC20: transfer amount exceeds balance", "the payer's balance is too small", False),
        ("ERC20: transfer amount exceeds allowance", "the payer's allowance is too small", False),
    )
}


def meaning(error: str) -> Meaning | None:
    """Explain the text of an `Error(string)`; None when Curie does not have it."""
    return _MEANINGS.get(error)
