"""The only package that reads from nodes and hands them transactions.

Decisions
---------
* JSON-RPC is spoken directly over one kept-alive connection per endpoint, one POST per request. A web3
  contract call costs three POSTs and a slow codec, and a cycle makes many. eth_abi encodes what is nested.
* A cycle reads through Multicall3 with `allowFailure`, so that one failing view costs nothing but itself.
  JSON-RPC batches were rejected: many providers count or refuse them.
* Reads are pinned by block hash (EIP-1898) where the node knows how, else by number; either way the pinned
  block must still be on the chain when the reads are done.
* New heads come over a WebSocket through web3, because there its client is as good as ours would
  be and nothing waits for its codec.
* A quorum covers everything that a cycle reads, not only what it acts on: a node that lies may also make an
  account look healthy, and then there is no action to ask about.
* It also covers what transactions are made and followed by. `facts` is what one pool says, `present` whose
  word counts, `agreement` how: strict where an error would use a nonce twice or give up what may still land,
  the prudent value where answers differ by nature, such as fees.
* What is final is the chain's own word where it has one: on a layer 2, confirmations say little.
* The tip is estimated from what blocks took, not from a node's suggestion, which clients make in different
  ways; the base fee of the next block is computed from the header.
* Nothing here knows a protocol. What to read comes in as `model.reads`, what a revert means stays outside.
"""
