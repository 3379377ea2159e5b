"""Every error the keeper expects, grouped by what the loop does about it.

* KeeperError
  * TransientError   retry with backoff          (RPC timeout, nonce race)
  * DataError        hold: journal, do not send  (stale feed, unreadable account)
  * ConfigError      exit 2 before the first read
  * TripwireError    halt: stop sending, page    (journal gap, plan made things worse)

A package adds one subclass per reason, with typed fields, beside the code that raises it; the ones
here are raised by more than one package.
"""


class KeeperError(Exception):
    """Base of every error raised on purpose. Anything else is a bug and crashes."""


class TransientError(KeeperError):
    """The same request may succeed later. Retried with backoff, then becomes `DataError`."""


class DataError(KeeperError):
    """An input is missing or unfit. No plan may be built from it."""


class ConfigError(KeeperError):
    """The configuration is wrong. Reported all at once, before the first read."""


class TripwireError(KeeperError):
    """An invariant failed. The keeper stops sending until a person resumes it."""


class UnfitValueError(DataError):
    """A number or a row of a table is unfit: not finite, out of range, or of the wrong shape."""

    field: str
    """Name of the value, for example `expiry_y`."""

    row: int | str | None
    """Row index or case id where there is one."""

    def __init__(self, field: str, problem: str, *, row: int | str | None = None) -> None:
        where = field if row is None else f"{field}[{row}]"
        super().__init__(f"{where}: {problem}")
        self.field = field
        self.row = row


class StaleDataError(DataError):
    """A market input is older than the policy allows."""

    source: str
    """Feed name, for example `lyra.eth.vol`."""

    age_s: int
    """Snapshot time minus observation time, in seconds."""

    limit_s: int
    """Greatest age the policy allows, in seconds."""

    def __init__(self, source: str, *, age_s: int, limit_s: int) -> None:
        super().__init__(f"{source} is {age_s} s old, limit is {limit_s} s")
        self.source = source
        self.age_s = age_s
        self.limit_s = limit_s
