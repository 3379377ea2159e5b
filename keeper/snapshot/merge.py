"""Several readings of the same things into one: equal ones collapse, contradictions become gaps."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeVar

from keeper.model.book import Allowance, Balance, Wallet
from keeper.model.reads import Address, Failed
from keeper.model.snapshot import BlockRef, Gap
from keeper.model.units import Wad

T = TypeVar("T")


def unique(items: Iterable[T], key: Callable[[T], str], what: str) -> tuple[tuple[T, ...], list[Gap]]:
    """Return one item per key, sorted by key.

    Items that share a key and differ contradict each other: all are left out, for a gap of kind `what`.
    """
    by_key: dict[str, list[T]] = {}
    for item in items:
        same = by_key.setdefault(key(item), [])
        if item not in same:
            same.append(item)
    kept = tuple(by_key[k][0] for k in sorted(by_key) if len(by_key[k]) == 1)
    gaps = [
        Gap(what=what, key=k, reason=f"{len(same)} readings contradict each other")
        for k, same in sorted(by_key.items())
        if len(same) > 1
    ]
    return kept, gaps


def wallets_at(
    block: BlockRef, seen: Sequence[Wallet], natives: Mapping[Address, Wad | Failed]
) -> tuple[tuple[Wallet, ...], list[Gap]]:
    """Return one wallet per owner of one chain: what every venue saw in it, and its native coin.

    A wallet whose native coin could not be read is left out for a gap: whether it can pay for gas is unknown.
    An asset or allowance of which two venues say different things is left out of its wallet for a gap.
    """
    wallets: list[Wallet] = []
    gaps: list[Gap] = []
    for owner, native in sorted(natives.items()):
        key = f"{block.chain_id}:{owner}"
        if isinstance(native, Failed):
            reason = f"{native.read}: {native.reason}"
            gaps.append(Gap(what="wallet", key=key, reason=reason, chain_id=block.chain_id))
            continue
        mine = [w for w in seen if w.owner == owner]
        balances, unsure = _by_name([b for w in mine for b in w.balances], _asset, key, block.chain_id)
        allowances, unclear = _by_name([a for w in mine for a in w.allowances], _spender, key, block.chain_id)
        gaps += [*unsure, *unclear]
        wallets.append(
            Wallet(
                owner=owner, chain_id=block.chain_id, native=native, balances=balances, allowances=allowances
            )
        )
    return tuple(wallets), gaps


def _by_name(
    items: Iterable[T], name: Callable[[T], str], wallet: str, chain_id: int
) -> tuple[tuple[T, ...], list[Gap]]:
    kept, clashes = unique(items, name, "wallet")
    return kept, [
        Gap(what="wallet", key=f"{wallet}/{g.key}", reason=g.reason, chain_id=chain_id) for g in clashes
    ]


def _asset(balance: Balance) -> str:
    return balance.asset


def _spender(allowance: Allowance) -> str:
    return f"{allowance.asset}>{allowance.spender}"
