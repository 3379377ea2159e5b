"""The commands: one file each, tables for people, one JSON object for scripts.

Decisions:

* A command's file imports what it needs inside its function. `keeper --help` then costs typer alone, and
  `keeper health` starts without numpy or web3.
* Standard output carries the result, standard error everything else: logs, progress, errors. With
  `--json` the result is one object, also when the command fails.
* Views are pure functions from values to rich tables, and documents pure functions from values to plain
  dicts, so both are tested without a chain.
"""
