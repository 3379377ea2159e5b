"""A venue's rule as data: where an account would stand in other states of the market.

The rule of one account answers for n states at once. Rules of one form, stacked, answer for many accounts:
they are the same arithmetic on columns in place of numbers, so each row is what that account's own rule
gives. `policy.venue_rule` makes rules of what a snapshot tells.
"""

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Final, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from keeper.risk.inputs import Floats
from keeper.risk.lyra_collateral import CollateralTerms, min_collateral


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Factors:
    """n states of the market, as factors on today's prices; what is not named stands still."""

    n: int
    spot: Mapping[str, Floats] = field(default_factory=dict)
    """By underlying, shape (n,), each above 0; (R, n) where R stacked accounts have states of their own."""

    perp: Mapping[str, Floats] = field(default_factory=dict)
    """Of the perps' marks, alike; where an underlying is not named, as its spot."""

    def of_spot(self, underlying: str) -> Floats:
        """Return the factor on the spot, shape as given."""
        return self.spot.get(underlying, np.ones(self.n))

    def of_perp(self, underlying: str) -> Floats:
        """Return the factor on perps, shape as given."""
        return self.perp.get(underlying, self.of_spot(underlying))

    def of_perps(self, underlyings: Sequence[str]) -> Floats:
        """Return the factor on perps of R stacked accounts, one underlying each, shape (R, n)."""
        factors = np.empty((len(underlyings), self.n))
        for underlying in sorted(set(underlyings)):
            rows = [row for row, name in enumerate(underlyings) if name == underlying]
            factor = self.of_perp(underlying)
            factors[rows] = factor if factor.ndim == 1 else factor[rows]
        return factors


NOW = Factors(n=1)
"""The market as it is."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Standing:
    """What a venue compares, USD, in n states, shapes (n,); of R stacked accounts, (R, n)."""

    equity_usd: Floats
    initial_usd: Floats
    maintenance_usd: Floats

    @property
    def excess_usd(self) -> Floats:
        """Equity less maintenance; negative where the venue may liquidate."""
        return self.equity_usd - self.maintenance_usd


Rule: TypeAlias = Callable[[Factors], Standing]

Numbers: TypeAlias = float | Floats
"""A number of one account, or those of R stacked accounts as a column, shape (R, 1)."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Possession:
    """Nothing is asked of a long option, or of collateral alone."""

    dollars_usd: Numbers
    kind_usd: tuple[tuple[str, Numbers], ...]
    """Collateral in kind: underlying, and USD now."""

    def __call__(self, factors: Factors) -> Standing:
        """Return where the account stands."""
        equity_usd = _worth(self.dollars_usd, self.kind_usd, factors)
        nothing = np.zeros_like(equity_usd)
        return Standing(equity_usd=equity_usd, initial_usd=nothing, maintenance_usd=nothing)

    @property
    def form(self) -> Hashable:
        """Rules of the same form can be stacked."""
        return Possession, _names(self.kind_usd)

    @classmethod
    def stack(cls, rules: Sequence[Self]) -> Self:
        """Return one rule for all."""
        return cls(
            dollars_usd=_column(r.dollars_usd for r in rules), kind_usd=_columns([r.kind_usd for r in rules])
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PerpLeg:
    """One position of a cross-margin account, or one of each of R stacked accounts."""

    underlying: str | tuple[str, ...]
    """One for each account of R; where one has no more positions, its size is 0."""

    size_base: Numbers
    mark_usd: Numbers
    entry_usd: Numbers


_NO_LEG: Final = PerpLeg(underlying="", size_base=0.0, mark_usd=0.0, entry_usd=0.0)
"""Fills up a row: adding nothing changes no digit of a sum."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CrossMargin:
    """Perps: equity moves with the signed notional, both requirements with the absolute one.

    Collateral in kind counts in full: the venue's own weight on it is not among the terms.
    """

    dollars_usd: Numbers
    kind_usd: tuple[tuple[str, Numbers], ...]
    """Collateral in kind: underlying, and USD now."""

    legs: tuple[PerpLeg, ...]
    initial_ratio: Numbers
    maintenance_ratio: Numbers

    def __call__(self, factors: Factors) -> Standing:
        """Return where the account stands."""
        equity_usd = _worth(self.dollars_usd, self.kind_usd, factors)
        notional_usd = np.zeros(factors.n)
        for leg in self.legs:
            named = leg.underlying
            factor = factors.of_perp(named) if isinstance(named, str) else factors.of_perps(named)
            price_usd = leg.mark_usd * factor
            equity_usd = equity_usd + leg.size_base * (price_usd - leg.entry_usd)
            notional_usd = notional_usd + np.abs(leg.size_base) * price_usd
        return Standing(
            equity_usd=equity_usd,
            initial_usd=self.initial_ratio * notional_usd,
            maintenance_usd=self.maintenance_ratio * notional_usd,
        )

    @property
    def form(self) -> Hashable:
        """Rules of the same form can be stacked."""
        return CrossMargin, _names(self.kind_usd)

    @classmethod
    def stack(cls, rules: Sequence[Self]) -> Self:
        """Return one rule for all."""
        return cls(
            dollars_usd=_column(r.dollars_usd for r in rules),
            kind_usd=_columns([r.kind_usd for r in rules]),
            legs=tuple(
                PerpLeg(
                    underlying=tuple(str(leg.underlying) for leg in legs),
                    size_base=_column(leg.size_base for leg in legs),
                    mark_usd=_column(leg.mark_usd for leg in legs),
                    entry_usd=_column(leg.entry_usd for leg in legs),
                )
                for legs in zip_longest(*(r.legs for r in rules), fillvalue=_NO_LEG)
            ),
            initial_ratio=_column(r.initial_ratio for r in rules),
            maintenance_ratio=_column(r.maintenance_ratio for r in rules),
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ShortOption:
    """One short option against its collateral, both at the venue's own spot."""

    underlying: str
    terms: CollateralTerms
    is_call: bool | NDArray[np.bool_]
    in_base: bool | NDArray[np.bool_]
    strike_usd: Numbers
    seconds: Numbers
    short_base: Numbers
    collateral: Numbers
    """In units of its asset."""

    spot_usd: Numbers

    def __call__(self, factors: Factors) -> Standing:
        """Return where the account stands."""
        moved_usd = self.spot_usd * factors.of_spot(self.underlying)
        unit_usd = np.where(self.in_base, moved_usd, 1.0)
        needed = min_collateral(
            self.terms,
            is_call=self.is_call,
            in_base=self.in_base,
            strike_usd=self.strike_usd,
            seconds=self.seconds,
            spot_usd=moved_usd,
            amount_base=self.short_base,
        )
        owed_usd = needed * unit_usd
        return Standing(equity_usd=self.collateral * unit_usd, initial_usd=owed_usd, maintenance_usd=owed_usd)

    @property
    def form(self) -> Hashable:
        """Rules of the same form can be stacked."""
        return ShortOption, self.underlying, self.terms

    @classmethod
    def stack(cls, rules: Sequence[Self]) -> Self:
        """Return one rule for all."""
        return cls(
            underlying=rules[0].underlying,
            terms=rules[0].terms,
            is_call=np.array([r.is_call for r in rules])[:, np.newaxis],
            in_base=np.array([r.in_base for r in rules])[:, np.newaxis],
            strike_usd=_column(r.strike_usd for r in rules),
            seconds=_column(r.seconds for r in rules),
            short_base=_column(r.short_base for r in rules),
            collateral=_column(r.collateral for r in rules),
            spot_usd=_column(r.spot_usd for r in rules),
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Anchored:
    """A twin whose figures start from the contract's own, and move by the twin's difference."""

    twin: "VenueRule"
    equity_usd: Numbers
    """The contract's figure now less the twin's."""

    initial_usd: Numbers
    maintenance_usd: Numbers

    def __call__(self, factors: Factors) -> Standing:
        """Return where the account stands."""
        then = self.twin(factors)
        return Standing(
            equity_usd=self.equity_usd + then.equity_usd,
            initial_usd=self.initial_usd + then.initial_usd,
            maintenance_usd=self.maintenance_usd + then.maintenance_usd,
        )

    @property
    def form(self) -> Hashable:
        """Rules of the same form can be stacked."""
        return Anchored, self.twin.form

    @classmethod
    def stack(cls, rules: Sequence[Self]) -> Self:
        """Return one rule for all."""
        return cls(
            twin=stacked([r.twin for r in rules]),
            equity_usd=_column(r.equity_usd for r in rules),
            initial_usd=_column(r.initial_usd for r in rules),
            maintenance_usd=_column(r.maintenance_usd for r in rules),
        )


VenueRule: TypeAlias = Possession | CrossMargin | ShortOption | Anchored


def stacked(rules: Sequence[VenueRule]) -> VenueRule:
    """Return the rule of R accounts at once, whose rules have one `form`: a row of each answer for each.

    The arithmetic is that of each rule alone, so are its results.
    """
    # The form says that all are of the class of the first.
    return type(rules[0]).stack(rules)  # type: ignore[arg-type]


def _worth(dollars_usd: Numbers, kind_usd: Iterable[tuple[str, Numbers]], factors: Factors) -> Floats:
    equity_usd = dollars_usd + np.zeros(factors.n)
    for underlying, amount_usd in kind_usd:
        equity_usd = equity_usd + amount_usd * factors.of_spot(underlying)
    return equity_usd


def _names(kind_usd: Iterable[tuple[str, Numbers]]) -> tuple[str, ...]:
    return tuple(underlying for underlying, _ in kind_usd)


def _column(numbers: Iterable[Numbers]) -> Floats:
    return np.array([*numbers], dtype=np.float64)[:, np.newaxis]


def _columns(kinds: Sequence[tuple[tuple[str, Numbers], ...]]) -> tuple[tuple[str, Numbers], ...]:
    return tuple(
        (same[0][0], _column(amount_usd for _, amount_usd in same)) for same in zip(*kinds, strict=True)
    )
