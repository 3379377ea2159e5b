"""From a plan to its effects on the chains: exactly one for each decision, or a recorded reason for none.

    planned -> simulated -> signed -> sent -> confirmed -> finalized     or dropped

Decisions:

* Every state is written before the step it names is taken. SIGNED: the bytes are kept, nobody else has
  them. SENT: they may be anywhere. A crash between two writes is therefore answered by doing the next
  step again with the same bytes, which cannot have two effects.
* SENT is on disk, with all before it and announced in the journal, before a node has the bytes. Other moves
  may be lost with the power: what they note is on the chain, or nobody outside has seen it.
* A nonce is taken in the database transaction that keeps the bytes signed with it, after simulation and
  limits. There is no nonce without bytes, so the lane has no gap of our making.
* One transaction of a lane (chain, signer) is on its way at a time. It costs a block's wait where several
  could go together; in exchange each is simulated on the effects of all before it.
* What was sent stays ours until its nonce is used: it is sent again, replaced at a higher fee within its
  budget, and once it is out of date cancelled by a transfer of nothing to ourselves. Nothing is dropped
  while it may land.
* An action that is decided again while its transaction is open, or from a block before that transaction
  took effect, is not carried out again. After a revert the subject is left alone for a while.
* What an action is to move, its adapter states in exact integers. One simulated block at the head shows what
  it moves; what is otherwise is not sent, and what lands is held against the promise again, by its own
  receipt. A balance read later would hold others' transactions and other prices too.
* What sends reaches the signer by one class, `Lane`, which only a live executor builds. Dry-run has none. The
  owner of a Safe signs its hash by another way (`keeper propose --sign`), on which nothing can be sent.
"""
