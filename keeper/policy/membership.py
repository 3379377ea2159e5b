"""Which account belongs to which profile."""

from collections.abc import Sequence

from keeper.model.book import Account
from keeper.model.params import ProfileParams


def members(accounts: Sequence[Account], profiles: Sequence[ProfileParams]) -> dict[str, tuple[Account, ...]]:
    """Return the accounts of every profile, by profile name, in the order of `accounts`.

    A profile that names owners holds exactly theirs; a profile without owners holds everybody that
    no other profile names. `chains`, where given, restricts both.
    """
    named = {owner for profile in profiles for owner in profile.owners}

    def belongs(account: Account, profile: ProfileParams) -> bool:
        if profile.chains and account.chain_id not in profile.chains:
            return False
        return account.owner in profile.owners if profile.owners else account.owner not in named

    return {p.name: tuple(a for a in accounts if belongs(a, p)) for p in profiles}
