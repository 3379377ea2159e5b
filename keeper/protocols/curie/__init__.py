"""Perpetual Protocol v2 ("Curie"): perps over a Uniswap v3 vAMM, one cross-margined account per trader.

Source: @perp/curie-contract 2.8.4, `ClearingHouse`, `AccountBalance`, `Exchange`, `Vault`, `MarketRegistry`.
Scale: 18 places, except what the Vault and InsuranceFund answer and take, which have the settlement token's
places (6 for USDC), and ratios, which have 6 (1.0 is 10**6). `Vault.getAccountValue` is the trap: same
name as `ClearingHouse.getAccountValue`, other scale. It is not in our ABI.

* Account value = deposits + owed profit + pending maker fees - pending funding + unrealised profit, computed
  with 18 places and then cut to the settlement token's: it is exact to 10**-6 USD, rounded down. An account's
  balance in the settlement token holds all of it but the unrealised profit.
* `initial` is the venue's own rule for new risk, debt value x imRatio, which it compares with the lesser of
  collateral and account value; `maintenance` is open interest at mark x mmRatio.
* An account is liquidatable when a liquidation sent by us at the pinned block goes through, after
  cancelling the trader's orders where they stand in the way, or fails only for want of our own margin.
* A market is a base token. Those named under `underlyings` are read; a position in any other makes its
  account a gap, because a part of its risk would be missing.
"""

from keeper.protocols.curie.adapter import Curie

__all__ = ["Curie"]
