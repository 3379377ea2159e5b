"""Recorded option chains of Deribit, read in place; a test that asks for one is skipped without them."""

import csv
import gzip
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from keeper.risk import black76
from keeper.risk.surfaces.smile_quotes import SmileQuotes, book_quotes
from tests.support.shared import recordings

CRASH = "202602"
"""Snapshots of 4-7 February 2026; all others are of calm days."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Chain:
    """One currency of one snapshot, columns of N options."""

    name: str
    """Time of the snapshot and currency."""

    expiry_y: NDArray[np.float64]
    strike_usd: NDArray[np.float64]
    call: NDArray[np.bool_]
    bid_coin: NDArray[np.float64]
    ask_coin: NDArray[np.float64]
    mark_coin: NDArray[np.float64]
    vol: NDArray[np.float64]
    forward_usd: NDArray[np.float64]
    """NaN where the venue prices on the index."""

    open_interest: NDArray[np.float64]

    @property
    def calm(self) -> bool:
        return not self.name.startswith(CRASH)

    def quotes(self) -> SmileQuotes:
        return book_quotes(
            expiry_y=self.expiry_y,
            strike_usd=self.strike_usd,
            call=self.call,
            bid=self.bid_coin,
            ask=self.ask_coin,
            forward_usd=self.forward_usd,
            coin=True,
        ).quotes

    def forwards(self) -> NDArray[np.float64]:
        """Forward of every row: its own, else that of its expiry."""
        quotes = self.quotes()
        of_expiry = quotes.forward_usd[np.searchsorted(quotes.expiry_y, self.expiry_y)]
        return np.where(np.isfinite(self.forward_usd), self.forward_usd, of_expiry)

    def liquid(self, quotes: SmileQuotes) -> NDArray[np.bool_]:
        """Which rows of `quotes` are liquid: bid and ask, open interest, and |delta| in 0.05..0.95.

        No row is left out for a wide or a narrow spread. Delta is that of the recorded vol.
        """
        rows = {
            key: row
            for row, key in enumerate(
                zip(self.expiry_y.tolist(), self.strike_usd.tolist(), self.call.tolist(), strict=True)
            )
        }
        at = np.array(
            [
                rows[key]
                for key in zip(
                    quotes.expiry_y[quotes.expiry].tolist(),
                    quotes.strike_usd.tolist(),
                    quotes.call.tolist(),
                    strict=True,
                )
            ]
        )
        delta = black76.greeks(
            self.forwards()[at], self.strike_usd[at], self.expiry_y[at], self.vol[at], call=self.call[at]
        ).delta
        away = np.abs(delta)
        return np.asarray((self.open_interest[at] > 0.0) & (away >= 0.05) & (away <= 0.95))


@cache
def chains() -> tuple[Chain, ...]:
    """Every recorded snapshot, both currencies, by time."""
    folder = recordings("deribit_chains")
    return tuple(
        _chain(path.name[25:40], currency, rows)
        for path in sorted(folder.glob("deribit_options_snapshot_*.csv.gz"))
        for rows in [list(csv.DictReader(gzip.decompress(path.read_bytes()).decode().splitlines()))]
        for currency in ("BTC", "ETH")
    )


def _chain(time: str, currency: str, rows: list[dict[str, str]]) -> Chain:
    own = [row for row in rows if row["currency"] == currency]

    def column(name: str) -> NDArray[np.float64]:
        return np.array([float(row[name] or "nan") for row in own])

    return Chain(
        name=f"{time} {currency}",
        expiry_y=column("time_to_maturity"),
        strike_usd=column("strike"),
        call=np.array([row["option_type"] == "call" for row in own]),
        bid_coin=column("bid_price"),
        ask_coin=column("ask_price"),
        mark_coin=column("mark_price"),
        vol=column("implied_volatility"),
        forward_usd=column("futures_price"),
        open_interest=column("open_interest"),
    )
