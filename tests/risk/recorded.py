"""Recorded prices and vols, read in place; a test that asks for one is skipped where it is absent."""

import csv
import gzip
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tests.support.shared import recordings

DAY_S = 86_400


@dataclass(frozen=True, slots=True)
class Bars:
    """Daily bars in UTC, rising in time."""

    starts_s: NDArray[np.int64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    close: NDArray[np.float64]

    def at(self, date: str) -> int:
        """Row of the bar that starts on `date`, ISO."""
        start = int(datetime.fromisoformat(date).replace(tzinfo=UTC).timestamp())
        (rows,) = np.nonzero(self.starts_s == start)
        return int(rows[0])


def btc_daily() -> Bars:
    rows = _rows(recordings("prices/BTCUSD_1d_2011_2025.csv.gz"))
    return _bars(rows, [int(r["unix_timestamp"]) for r in rows], "low", "high", "close")


def eth_daily() -> Bars:
    """Binance, from May 2024."""
    rows = _rows(recordings("prices/ETHUSDT_binance_1d.csv.gz"))
    return _bars(rows, [int(r["timestamp"]) // 1000 for r in rows], "low", "high", "close")


def eth_daily_before() -> Bars:
    """Another source, May 2023 to May 2024."""
    rows = _rows(recordings("prices/ETH-USD_daily_arkis.csv.gz"))
    starts = [int(datetime.fromisoformat(r["Date"]).replace(tzinfo=UTC).timestamp()) for r in rows]
    return _bars(rows, starts, "Low", "High", "Close")


def eth_daily_joined() -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Start times and closes of both ETH sources, each day once; the gap of a few days stays a gap."""
    first, second = eth_daily_before(), eth_daily()
    early = first.starts_s < second.starts_s[0]
    starts = np.concatenate([first.starts_s[early], second.starts_s])
    return starts, np.concatenate([first.close[early], second.close])


def log_returns(close: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.diff(np.log(close))


def index_iv() -> list[dict[str, str]]:
    """Rows of index and at-the-money vols, one per snapshot and currency."""
    return _rows(recordings("deribit_chains/series_index_iv.csv"))


def perpetuals() -> list[dict[str, str]]:
    """Perp prices at the same snapshots."""
    return _rows(recordings("deribit_chains/perpetual_futures_prices.csv.gz"))


def _rows(path: Path) -> list[dict[str, str]]:
    raw = path.read_bytes()
    text = (gzip.decompress(raw) if path.suffix == ".gz" else raw).decode()
    return list(csv.DictReader(text.splitlines()))


def _bars(rows: list[dict[str, str]], starts: list[int], low: str, high: str, close: str) -> Bars:
    return Bars(
        starts_s=np.array(starts, dtype=np.int64),
        low=np.array([float(r[low]) for r in rows]),
        high=np.array([float(r[high]) for r in rows]),
        close=np.array([float(r[close]) for r in rows]),
    )
