"""Why a hypothetical question cannot be asked of a snapshot: one class per reason."""

from collections.abc import Sequence

from keeper.model.errors import ConfigError


class WhatIfError(ConfigError):
    """The question cannot be asked of this snapshot. Nothing is wrong with the snapshot."""


class NoSuchInstrumentError(WhatIfError):
    """No instrument has this id."""

    instrument: str

    def __init__(self, instrument: str) -> None:
        super().__init__(f"the snapshot holds no instrument {instrument}")
        self.instrument = instrument


class NoSuchAccountError(WhatIfError):
    """No account has this id."""

    account: str

    def __init__(self, account: str) -> None:
        super().__init__(f"the snapshot holds no account {account}")
        self.account = account


class AmbiguousAccountError(WhatIfError):
    """A trade names no account, and several of ours could make it."""

    instrument: str
    candidates: tuple[str, ...]

    def __init__(self, instrument: str, candidates: Sequence[str]) -> None:
        super().__init__(f"{instrument} could be traded by {' or '.join(candidates)}: name one with @ACCOUNT")
        self.instrument = instrument
        self.candidates = tuple(candidates)


class WrongAccountError(WhatIfError):
    """An account cannot hold an instrument: it is at another venue, or holds its one position already."""

    account: str
    instrument: str

    def __init__(self, account: str, instrument: str, problem: str) -> None:
        super().__init__(f"{account} cannot trade {instrument}: {problem}")
        self.account = account
        self.instrument = instrument


class WrongAssetError(WhatIfError):
    """An account's collateral is another asset."""

    account: str

    def __init__(self, account: str, asset: str | None, taken: Sequence[str]) -> None:
        expected = f"expected {' or '.join(taken)}" if taken else "it takes no collateral"
        super().__init__(f"{account} does not hold {asset or 'collateral'}: {expected}")
        self.account = account


class NoPriceError(WhatIfError):
    """Something that is traded or moved has no trusted price."""

    name: str

    def __init__(self, name: str) -> None:
        super().__init__(f"{name} has no trusted price in this snapshot")
        self.name = name


class NoRuleError(WhatIfError):
    """The venue's rule for an account is not known, so its requirement cannot be told."""

    account: str

    def __init__(self, account: str) -> None:
        super().__init__(
            f"the margin rule of {account} cannot be asked: its venue's terms or prices are missing"
        )
        self.account = account


class NoOwnerError(WhatIfError):
    """A new account would belong to nobody."""

    venue: str

    def __init__(self, venue: str) -> None:
        super().__init__(
            f"a new account at {venue} needs an owner: no profile of role own or member names one"
        )
        self.venue = venue
