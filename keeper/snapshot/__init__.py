"""One look at everything: pin a block per chain, read every venue there, make one value of it.

`observe` does the reading, `assemble` is the pure part: merging, market gates, order. Two looks at the same
blocks give the same bytes, whatever the order in which nodes answered.
"""
