"""The configuration: one TOML file, checked as a whole, to frozen settings and decision parameters.

Decisions:

* Unknown keys are errors. A misspelt limit that is silently ignored is a limit that does not exist.
* All problems are reported at once, each with its key, what was found and what is allowed: names that
  point across tables are checked on the raw tables, so that they are reported beside wrong values.
* Environment variables are expanded in endpoints and paths only. A value that came from the environment
  never appears in a message.
* `config/example.toml` names every key. A test proves that it and these models say the same.
"""
