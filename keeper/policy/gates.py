"""What may not be acted on: gaps in the snapshot, and what each of them could make wrong."""

from collections.abc import Iterable

from keeper.model.params import ProfileParams
from keeper.model.snapshot import Gap, Snapshot


def blocking_profile(profile: ProfileParams, snapshot: Snapshot) -> Gap | None:
    """Return the first gap that makes a profile's net delta unknown, or None.

    Net delta needs every leg: a missing chain, venue, account, price or surface may hide one. Depth,
    funding and wallets do not.
    """
    hides_a_leg = {"chain", "venue", "account", "quote", "surface", "skew"}
    return _first(
        gap
        for gap in snapshot.gaps
        if gap.what in hides_a_leg
        and (gap.chain_id is None or not profile.chains or gap.chain_id in profile.chains)
        and not _is_a_strangers_account(gap, profile)
    )


def _is_a_strangers_account(gap: Gap, profile: ProfileParams) -> bool:
    """Whether an unread account is known to be somebody else's: its key is an address, and not ours."""
    key = gap.key.rsplit(":", 1)[-1]
    return gap.what == "account" and key.startswith("0x") and key not in profile.owners


def blocking_venue(protocol: str, chain_id: int, underlying: str | None, snapshot: Snapshot) -> Gap | None:
    """Return the first gap that makes an action on one account unsafe, or None.

    The account itself was read; what else decides is its chain, its venue and the price of its
    underlying or collateral.
    """
    venue = f"{protocol}:{chain_id}"
    return _first(
        gap
        for gap in snapshot.gaps
        if (gap.what == "chain" and gap.key == str(chain_id))
        or (gap.what == "venue" and gap.key == venue)
        or (gap.what == "quote" and gap.key == underlying)
    )


def held(gap: Gap) -> str:
    """Say why nothing was done."""
    return f"held: {gap.what} {gap.key} could not be read ({gap.reason})"


def _first(gaps: Iterable[Gap]) -> Gap | None:
    return next(iter(gaps), None)
