"""Taking every journaled decision again, from the journal alone, and comparing.

Decisions:

* The plan must come out with the same id. Its explanations and the risk figures are floats: they must agree
  to 1e-9, because another machine's mathematics library may differ in the last digit.
* Nothing but the journal is read: no chain, no store, no clock.
"""
