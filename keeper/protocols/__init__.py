"""One adapter per protocol: it knows its contracts and nothing of our risk.

An adapter's methods are generators of reads (`keeper.model.reads`). It holds no provider and awaits
nothing, so the same code runs live, from a recording and in replay. Chosen over adapters that call a
client: those need mocks to be tested and cost one request per account.

Three rules that every adapter keeps, and that the conformance suite proves on real bytecode:

* The contract's answer is final. Who may be liquidated is shown by simulating the liquidation at the pinned
  block, not by repeating the venue's rule.
* An answer that did not come is a `Gap`, for that account where possible, and never a default.
* Every number has an explicit scale where it enters: the answer's places are in the name or in the
  docstring beside it.
"""
