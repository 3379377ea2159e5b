"""Looks at all chains at once and makes one snapshot of what they show."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Final

from keeper.chain.client import ChainClient
from keeper.chain.errors import NodeUnreachable
from keeper.model.params import StalenessParams
from keeper.model.reads import Address
from keeper.model.snapshot import Gap, Snapshot
from keeper.model.venue import Venue
from keeper.protocols.adapter import Adapter, Found
from keeper.snapshot.assemble import assemble
from keeper.snapshot.carried import Carried
from keeper.snapshot.look import ChainObserver, Look
from keeper.snapshot.venue import Seen, Step, comparing, following, shows_all, whole

SAVED_BLOCKS: Final = 64
"""How far what is kept between runs may lag while no account appears: not every head is worth a write."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sight:
    """A snapshot, and what the next may go on from."""

    snapshot: Snapshot
    seen: Mapping[str, Seen]
    """By venue id; a venue that could not be read is missing."""


class Observer:
    """The only reader of a cycle. One caller at a time."""

    def __init__(
        self,
        clients: Mapping[int, ChainClient],
        venues: Sequence[tuple[Venue, Adapter]],
        wallets: Sequence[Address],
        *,
        staleness: StalenessParams,
        natives: Mapping[int, str],
        load: Callable[[str], Found | None] = lambda _: None,
        save: Callable[[str, Found], None] = lambda _venue, _found: None,
        ours: Collection[Address] = (),
        margin: float = 0.0,
        carries: int = 0,
        stands_s: float = 0.0,
    ) -> None:
        """Prepare to observe; nothing is read.

        Parameters
        ----------
        clients
            By chain id, one for each chain that is to be observed.
        venues
            With an adapter for each; every venue's chain has a client.
        wallets
            Addresses whose own holdings count: the owners of our profiles and the signers.
        staleness
            Gates on market inputs.
        natives
            Risk factor of each chain's native coin.
        load, save
            Where accounts that were discovered are kept between runs, by venue id.
        ours, margin
            For `follow`: owners whose accounts are read every time besides `wallets`, and the fraction of its
            requirement above which an account is far from its line.
        carries
            For `follow`: accounts below which nothing is carried of a venue, which costs as long as a look.
        stands_s
            How long the look at a block may stand while its chain has no new one. What an endpoint told wrong
            once is believed for as long.
        """
        owners = sorted(set(wallets))
        self._chains = {
            chain_id: ChainObserver(
                client,
                sorted((v for v in venues if v[0].chain_id == chain_id), key=lambda v: v[0].id),
                owners,
                natives[chain_id],
                stands_s=stands_s,
            )
            for chain_id, client in sorted(clients.items())
        }
        # They end with the observer.
        self._threads = ThreadPoolExecutor(max(1, len(self._chains)), thread_name_prefix="look")
        self._ours = frozenset((*owners, *ours))
        self._margin = margin
        self._carries = carries
        self._staleness = staleness
        self._save = save
        self._known = {venue.id: found for venue, _ in venues if (found := load(venue.id)) is not None}
        self._saved = dict(self._known)

    def observe(self, at: Mapping[int, int] | None = None) -> Snapshot:
        """Read every chain at its pinned block, or at the block that `at` names for it.

        Chains are read side by side. One that cannot be read is a gap and the snapshot goes on without it.
        Raises `ConfigError` (a wrong address of Multicall3, an ABI that is not there).
        """
        numbers = at or {}
        found = self._side_by_side(
            lambda chain_id, chain: chain.look(
                whole({} if chain_id in numbers else self._known),
                numbers.get(chain_id),
                stands=lambda look: shows_all(look.seen, {}),
            )
        )
        looks = [look for look in found.values() if isinstance(look, Look)]
        for look in looks:
            if look.block.chain_id not in numbers:
                self._remember(look.seen)
        return assemble(looks, [g for g in found.values() if isinstance(g, Gap)], self._staleness)

    def follow(self, steps: Mapping[str, Step], lost: Iterable[Gap] = ()) -> Sight:
        """Read every chain at its pinned block, going on from `steps` where a venue has one.

        What rests on a block that a reorg took is read whole. `lost` are gaps that are known already.
        Raises as `observe`.
        """
        found = self._side_by_side(lambda _, chain: self._follow(chain, steps))
        looks = [look for look in found.values() if isinstance(look, Look)]
        for look in looks:
            self._remember(look.seen)
        missing = [*lost, *(g for g in found.values() if isinstance(g, Gap))]
        return Sight(
            snapshot=assemble(looks, missing, self._staleness),
            seen={name: seen for look in looks for name, seen in look.seen.items()},
        )

    def audit(self, carried: Mapping[str, Carried]) -> dict[str, Seen | Gap]:
        """Read venues whole at the block that each was carried to, and hold that against what was carried.

        Returns one entry for each of `carried`: a gap where it cannot be read there. Raises as `observe`.
        """
        heads = {c.at.chain_id: c.at for c in carried.values()}
        found = self._side_by_side(
            lambda chain_id, chain: chain.look(comparing(carried), heads[chain_id].number), heads
        )
        answers: dict[str, Seen | Gap] = {}
        for name, before in carried.items():
            look = found[before.at.chain_id]
            if isinstance(look, Gap):
                answers[name] = look
            elif look.block.hash != before.at.hash:
                answers[name] = Gap(what="chain", key=str(look.block.chain_id), reason="a reorg came between")
            else:
                lost = [g for g in look.gaps if g.what == "venue" and g.key == name]
                answers[name] = lost[0] if lost else look.seen[name]
        return answers

    def _follow(self, chain: ChainObserver, steps: Mapping[str, Step]) -> Look | Gap:
        look = chain.look(
            following(steps, self._known, self._ours, self._margin, self._carries),
            stands=lambda look: shows_all(look.seen, steps),
        )
        if isinstance(look, Gap):
            return look
        rested_on = {steps[name].carried.at for name in look.seen if name in steps}
        try:
            if all(chain.holds(block, look.block) for block in rested_on):
                return look
        except NodeUnreachable as trouble:
            return Gap(
                what="chain", key=str(look.block.chain_id), reason=str(trouble), chain_id=look.block.chain_id
            )
        return chain.look(whole(self._known, carries=self._carries))

    def _side_by_side(
        self, job: Callable[[int, ChainObserver], Look | Gap], chains: Collection[int] | None = None
    ) -> dict[int, Look | Gap]:
        wanted = {i: chain for i, chain in self._chains.items() if chains is None or i in chains}
        if len(wanted) == 1:
            return {i: job(i, chain) for i, chain in wanted.items()}
        jobs = {i: self._threads.submit(job, i, chain) for i, chain in wanted.items()}
        wait(jobs.values())
        return {i: future.result() for i, future in jobs.items()}

    def _remember(self, seen: Mapping[str, Seen]) -> None:
        for venue_id, what in seen.items():
            self._known[venue_id] = what.found
            saved = self._saved.get(venue_id)
            # What is known to be followed up to an earlier block is not wrong: more events are read again.
            if (
                saved is None
                or saved.keys != what.found.keys
                or not 0 <= what.found.next_block - saved.next_block < SAVED_BLOCKS
            ):
                self._saved[venue_id] = what.found
                self._save(venue_id, what.found)
