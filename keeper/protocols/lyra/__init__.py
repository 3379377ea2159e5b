"""Lyra Avalon v1: an options AMM whose positions are ERC-721 tokens, each margined on its own.

Source: @lyrafinance/protocol 0.1.3-alpha, `OptionMarket`, `OptionToken`, `OptionGreekCache`,
`ShortCollateral`. Scale: everything has 18 places: amounts, prices, vols (1.0 is 100 %), sUSD and sETH.
Times are seconds.

* An account is one position; its key is the token id in decimal. Longs have no requirement.
* A short is liquidatable while its collateral is below `getMinCollateral`, which prices the option at a
  shocked spot and vol. The bounty is what a simulated liquidation pays its beneficiary at the pinned block:
  the contract's own figure, where a formula would need the premium that only the trade itself finds.
* Boards are read from `OptionMarket`, not from the viewer: the viewer forgets settled boards and reverts as
  a whole while the oracle's rate is invalid, so one bad feed would hide every position.
* Once its board is settled, a position is a fixed claim on cash or sETH; it is shown as that balance,
  without a position.
"""

from keeper.protocols.lyra.adapter import Lyra

__all__ = ["Lyra"]
