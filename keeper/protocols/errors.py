"""What keeps an adapter from doing what it was asked."""

from keeper.model.errors import ConfigError, DataError
from keeper.model.reads import Failed


class UnencodableActionError(DataError):
    """The action does not fit the venue: wrong account, unknown asset, nothing left after rounding."""

    venue: str
    kind: str

    def __init__(self, venue: str, kind: str, problem: str) -> None:
        super().__init__(f"{venue} cannot encode this {kind}: {problem}")
        self.venue = venue
        self.kind = kind


class DiscoveryError(DataError):
    """The accounts of a venue could not be followed: some may be unknown, so none may be acted upon."""

    venue: str

    def __init__(self, venue: str, failed: Failed) -> None:
        super().__init__(f"accounts of {venue} could not be discovered: {failed.read}: {failed.reason}")
        self.venue = venue


class VenueUnfitError(ConfigError):
    """A venue's configuration cannot be used by its adapter."""

    venue: str

    def __init__(self, venue: str, problem: str) -> None:
        super().__init__(f"venue {venue}: {problem}")
        self.venue = venue
