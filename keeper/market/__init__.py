"""Market inputs, made fit for decisions: what venues show comes in, what may be trusted and gaps go out.

Pure and exact: integers in, integers out, so that a snapshot is the same bytes on every machine. An input
that fails a gate is left out and named in a `Gap`; nothing is put in its place. Ages are measured against
the snapshot's chain time, never the wall clock.
"""
