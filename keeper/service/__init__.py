"""The daemon and what stands around it: wiring, one cycle, reactions to errors, health, explanations.

Decisions:

* One cycle at a time, in the main thread. A scheduler's threads only ask for one, and requests that come
  while it runs become one more. Signals ask for an end in the same way, so a cycle is never torn.
* The daemon reacts to an error by its kind and to nothing else. What is no `KeeperError` is a bug: it ends
  the process, and the outbox makes that safe.
* Health reads the store and the wall clock, never a chain or a key. A keeper that hangs, has lost its node
  or its disk looks ill from outside without its own help.
"""
