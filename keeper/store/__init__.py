"""What survives a crash: the outbox, the halt, the heartbeat, and the accounts found so far.

Decisions:

* SQLite in WAL mode. A move to SENT is synchronised, with all before it, before the bytes leave; the other
  moves wait for the next one, or for the end of the cycle. Power loss may take those, which nothing outside
  rests on; the end of the process takes none. Everything else is synchronised at once.
* One writer is enough for one machine; statements are SQLAlchemy Core without dialect tricks, so that
  PostgreSQL is wiring.
* One owner: the process that may send holds an advisory lock beside the file. The kernel releases it
  however the process dies, so a stale lock cannot exist. Readers and `keeper halt` need no ownership.
* A store belongs to one mode for ever. A live start on a dry-run store would take rehearsed transactions
  for sent ones.
* Signed bytes live in their own table, one row for each signature. A replaced transaction can still be
  the one that is mined, so none of its versions may be forgotten.
* Amounts in wei are text: they outgrow 64 bits.
"""
