"""Looks at all chains at once and makes one snapshot of what they show."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from keeper.chain.client import ChainClient
from keeper.model.params import StalenessParams
from keeper.model.reads import Address
from keeper.model.snapshot import Gap, Snapshot
from keeper.model.venue import Venue
from keeper.protocols.adapter import Adapter, Found
from keeper.snapshot.assemble import assemble
from keeper.snapshot.look import ChainObserver, Look


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
        """
        owners = sorted(set(wallets))
        self._chains = {
            chain_id: ChainObserver(
                client,
                sorted((v for v in venues if v[0].chain_id == chain_id), key=lambda v: v[0].id),
                owners,
                natives[chain_id],
            )
            for chain_id, client in sorted(clients.items())
        }
        self._staleness = staleness
        self._save = save
        self._known = {venue.id: found for venue, _ in venues if (found := load(venue.id)) is not None}

    def observe(self, at: Mapping[int, int] | None = None) -> Snapshot:
        """Read every chain at its pinned block, or at the block that `at` names for it.

        Chains are read side by side. One that cannot be read is a gap and the snapshot goes on without it.
        Raises `ConfigError` (a wrong address of Multicall3, an ABI that is not there).
        """
        numbers = at or {}
        with ThreadPoolExecutor(max_workers=max(1, len(self._chains))) as threads:
            jobs = [
                threads.submit(chain.look, self._known, numbers.get(chain_id))
                for chain_id, chain in self._chains.items()
            ]
            results = [job.result() for job in jobs]
        looks = [r for r in results if isinstance(r, Look)]
        for look in looks:
            if look.block.chain_id not in numbers:
                self._remember(look.found)
        return assemble(looks, [r for r in results if isinstance(r, Gap)], self._staleness)

    def _remember(self, found: Mapping[str, Found]) -> None:
        for venue_id, accounts in found.items():
            if self._known.get(venue_id) != accounts:
                self._known[venue_id] = accounts
                self._save(venue_id, accounts)
