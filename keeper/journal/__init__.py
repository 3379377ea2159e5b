"""What was seen, decided and done, as an append-only file of hash-chained lines.

Decisions:

* JSON Lines in canonical form. An auditor needs nothing of ours to check it: each line's `hash` is the
  sha256 of the same line without `hash`, and `previous` is the hash of the line before.
* A record is on disk before `append` returns, and nothing is done that is not announced by then. A last
  line without its newline was therefore never acted upon: it is cut off at the next start, and the next
  record says so. Any other damage is a tripwire.
* A chain of hashes cannot show that its end is missing. The last sequence number and hash are therefore
  kept beside the journal too, in `<journal>.head`, overwritten in place once records are on disk: it may
  be behind, never ahead.
* A snapshot is written once and then named by its digest; the same holds for parameters. Each file has
  them anew, so that it can be replayed without the ones before.
* A file that is full is closed and compressed, and the chain goes on in the next: `segments` says how they
  are named, `rotation` why a crash at any step leaves a whole journal. A file begins with a cycle, and with
  a record that says its number. A start reads the last file's end and the names of the others, so it takes
  no longer after a year than after a day.
* The oldest files go only where the configuration says for how long they are kept, and after a record has
  announced it: a journal that begins late without that record is damaged.
* The store's transitions are the truth about transactions. A crash between a move and its record leaves
  the record out; the next start appends it, so the journal has every move once and in order. Moves that
  announce nothing may therefore wait for the next record to reach the disk.
"""
