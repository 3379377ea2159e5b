"""What to do, and why: pure functions from a snapshot and parameters to a plan.

`decide.decide` is the one entry. Decided on record:

* The ladder reads the venue's own health and the venue's own word on liquidation; our netted risk sizes
  hedges and informs people, and never talks an account out of its venue's rule.
* Hedges are decided after the liquidations of the same plan and count their inventory, so one plan
  leaves the book inside its band; hedging what we held before and again a cycle later costs the
  spread twice.
* A gap blocks what it could make wrong and nothing else: an unread leg blocks the profile's hedge, not
  the rescue of an account that was read.
"""
