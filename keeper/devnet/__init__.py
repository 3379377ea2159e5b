"""Local chains with real protocol bytecode, and the scripted market that the demo and the tests run on.

Chain id 10 carries Lyra Avalon options, chain id 42161 carries Perp Curie perps. The contracts come from
the npm packages named in `packages.lock`, fetched to the user's cache and never part of the project.

Decisions:

* One raw JSON-RPC client and a codec over `eth_abi`, not web3's contract objects: these make three
  requests per call, and deploying two protocols is several hundred calls.
* Every transaction is mined alone, one second of chain time after the one before, from a fixed genesis
  time. Two runs therefore end in the same state to the last digit. Many transactions to a block would be
  faster, but then their order is the node's choice.
* Chains are built from bytecode on each run instead of loaded from a state dump: it takes seconds, and a
  dump would carry the bytecode of others.
"""
