"""A Safe as a signer that is only ever proposed to: its owners sign and execute, the keeper does not.

| module | what |
| --- | --- |
| `transaction` | SafeTx and its EIP-712 hash; pure |
| `multisend` | several calls packed into one; pure |
| `builder_file` | the file that Safe{Wallet}'s Transaction Builder loads; pure |
| `contract` | what is read of a Safe, and what the contract itself says of hash and outcome |
| `draft` | what of a plan is the Safe's to do: encoded, allowed, simulated, within limits |
| `proposal` | from its steps to one transaction, which the Safe has agreed to |

Decisions:

* `execTransaction` is not in the ABI that is kept of the Safe, and nothing here asks a node to send. A
  proposal is text: a table, a hash, a file.
* Several steps are one transaction, so that none of them happens without the others. They go through
  MultiSendCallOnly, which cannot make the Safe run foreign code, and only at its deterministic addresses: the
  address is then proof of the code.
* A proposal is held to all that a sent transaction is held to: allow-list, promises, caps. Caps per hour and
  day count what the keeper sent and this proposal, not proposals before it. Whoever executes pays for gas.
* The hash is computed here and by the contract, and nothing is shown unless both agree.
* A proposal is not journaled: a record kind of its own would change the journal's format, and what the Safe
  does later is seen by the next cycle as what the chain says.
"""
