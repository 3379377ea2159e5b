"""Values that every package may import; this package imports nothing of ours.

All are frozen, slotted, keyword-only dataclasses with tuples inside. On the chain side (`book`,
`quote`, `snapshot`, `plan` amounts, `intent`) numbers are exact integers, so a snapshot's digest is the
same on every machine. On the risk side (`margin`, `params`) they are floats that name their unit.
"""
