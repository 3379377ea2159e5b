"""`keeper check`: the operator's own set-up, held against what the configuration needs of it.

Decisions:

* Every endpoint is asked on its own. A pool that works hides the one that does not, until it is the last.
* What is asked is what our own reads will ask: so deep, so wide, so much gas. More is measured only where it
  costs a handful of requests and tells the operator what a plan of his provider is worth.
* A limit that the keeper works around is a warning, with the line of the file that spares it the trouble.
  What keeps it from working is a failure. Nothing else is: the exit code is for scripts.
* Values are judged apart from where they come from: `chain.probes` asks, this package says what it means.
"""
