"""The whole configuration, and what it becomes: parameters of a decision, venues, owners."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, PrivateAttr

from keeper.config.policy_tables import PolicyTable
from keeper.config.tables import (
    ChainTable,
    CycleTable,
    JournalTable,
    LimitTable,
    Mode,
    ProfileTable,
    ScreenTable,
    SignerTable,
    StoreTable,
    Table,
    VenueTable,
)
from keeper.model.params import (
    HedgeParams,
    HouseParams,
    LadderParams,
    LiquidationParams,
    Params,
    PriceHistory,
    ProfileParams,
    StalenessParams,
    TopUpParams,
    TransferParams,
)
from keeper.model.reads import Address
from keeper.model.venue import Venue


class Settings(Table):
    """A configuration file that passed every check. Made by `config.load.load`."""

    mode: Mode = "dry-run"
    store: StoreTable
    journal: JournalTable
    cycle: CycleTable
    screen: ScreenTable
    chains: Annotated[dict[str, ChainTable], Field(min_length=1)]
    venue_tables: Annotated[dict[str, VenueTable], Field(min_length=1, alias="venues")]
    profiles: Annotated[dict[str, ProfileTable], Field(min_length=1)]
    policy: PolicyTable
    signer: SignerTable | None = None
    limits: LimitTable
    _source: Path = PrivateAttr(default=Path())
    _history: PriceHistory | None = PrivateAttr(default=None)

    def model_post_init(self, context: Any, /) -> None:
        """Remember the file and the prices beside it, which are none of its keys."""
        self._source = (context or {}).get("source", Path())
        self._history = (context or {}).get("history")

    @property
    def source(self) -> Path:
        """The file that the settings were read from."""
        return self._source

    def venue(self, name: str) -> Venue:
        """Return the venue of a table name. Raises `KeyError`."""
        table = self.venue_tables[name]
        return Venue(
            protocol=table.protocol,
            chain_id=self.chains[table.chain].chain_id,
            contracts=tuple(sorted(table.contracts.items())),
            from_block=table.from_block,
            underlyings=tuple(sorted(table.underlyings.items())),
        )

    def venues(self) -> tuple[Venue, ...]:
        """Return all venues, by id."""
        return tuple(sorted((self.venue(name) for name in self.venue_tables), key=lambda v: v.id))

    def owners(self) -> tuple[Address, ...]:
        """Return the addresses whose wallets belong to us, sorted: owners of profiles with role `own`."""
        return tuple(sorted({o for p in self.profiles.values() if p.role == "own" for o in p.owners}))

    def taker(self) -> Address | None:
        """Return whose account receives positions that are taken over; None where that is not clear.

        The configured one, else the only address that hedges, else the only owner of ours.
        """
        if self.policy.liquidation.taker is not None:
            return self.policy.liquidation.taker
        for candidates in ({hedge.owner for hedge in self.policy.hedge}, set(self.owners())):
            if len(candidates) == 1:
                return candidates.pop()
        return None

    def payer(self) -> Address | None:
        """Return whose wallet pays top-ups: the configured one, else the signer's where its address is here.

        Else the only address that hedges. None where that is not clear: then the owner of each account.
        """
        if self.policy.top_up.payer is not None:
            return self.policy.top_up.payer
        if self.signer is not None and self.signer.kind != "keystore":
            return self.signer.address
        hedgers = {hedge.owner for hedge in self.policy.hedge}
        return hedgers.pop() if len(hedgers) == 1 else None

    def minded(self) -> frozenset[Address]:
        """Return whose accounts every cycle reads: those that we hedge, move, call or take over into."""
        named = {o for p in self.profiles.values() if p.role != "watch" for o in p.owners}
        taker = self.taker()
        return frozenset(
            {*named, *(h.owner for h in self.policy.hedge), *([taker] if taker is not None else [])}
        )

    def chain_names(self) -> Mapping[int, str]:
        """Return the name of each chain id."""
        return {table.chain_id: name for name, table in self.chains.items()}

    def params(self) -> Params:
        """Return the parameters of `policy.decide`."""
        policy = self.policy
        return Params(
            profiles=tuple(
                ProfileParams(
                    name=name,
                    role=table.role,
                    owners=tuple(sorted(table.owners)),
                    chains=tuple(sorted(self.chains[chain].chain_id for chain in table.chains)),
                )
                for name, table in sorted(self.profiles.items())
            ),
            ladder=LadderParams(**dict(policy.ladder)),
            hedges=tuple(
                HedgeParams(
                    profile=hedge.profile,
                    underlying=hedge.underlying,
                    band_base=hedge.band,
                    venue=self.venue(hedge.venue).id,
                    owner=hedge.owner,
                    lot_base=hedge.lot,
                    max_slippage=hedge.max_slippage,
                    max_trade_base=hedge.max_trade,
                )
                for hedge in sorted(policy.hedge, key=lambda h: (h.profile, h.underlying))
            ),
            top_up=TopUpParams(**dict(policy.top_up) | {"payer": self.payer()}),
            liquidation=LiquidationParams(**dict(policy.liquidation) | {"taker": self.taker()}),
            transfer=TransferParams(**dict(policy.transfer)),
            staleness=StalenessParams(**dict(policy.staleness)),
            house=HouseParams(
                **{
                    **dict(policy.house),
                    "daily_volume_usd": tuple(sorted(policy.house.daily_volume_usd.items())),
                    "history": self._history,
                }
            ),
            settle_expired=policy.settle.expired,
        )
