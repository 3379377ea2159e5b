"""Every level of the library is in the recordings, and the days say what they claim."""

import re

import numpy as np
import pytest

from keeper.risk.stress import Level, StressDay, covered, move_between, stress_scenarios
from keeper.risk.stress_days import LIBRARY
from tests.risk.recorded import Bars, btc_daily, eth_daily, index_iv, perpetuals

DAYS = {day.name: day for day in LIBRARY}
BARS = {
    # name: (bar before, bar after, price that is taken after)
    "2020-03-12": ("2020-03-11", "2020-03-12", "close"),
    "2024-05-20": ("2024-05-19", "2024-05-20", "close"),
    "2024-08-05": ("2024-08-04", "2024-08-05", "low"),
    "2025-02-03": ("2025-02-02", "2025-02-03", "low"),
}
SNAPSHOTS = {
    "2026-02-05": ("2026-02-04T21:33:08", "2026-02-05T21:29:37"),
    "2026-02-04/05": ("2026-02-04T04:24:03", "2026-02-05T21:29:37"),
    "2026-02-06": ("2026-02-05T21:29:37", "2026-02-06T21:30:57"),
}


def test_each_day_has_a_check_here() -> None:
    assert DAYS.keys() == BARS.keys() | SNAPSHOTS.keys()
    assert len(DAYS) == len(LIBRARY)
    assert all(day.before.keys() == day.after.keys() and day.source for day in LIBRARY)


@pytest.mark.parametrize("name", BARS)
def test_daily_levels_are_recorded(name: str) -> None:
    first, last, price = BARS[name]
    day = DAYS[name]
    recorded: dict[str, Bars] = {"BTC": btc_daily(), "ETH": eth_daily()}
    for underlying in day.before:
        bars = recorded[underlying]
        assert day.before[underlying] == Level(spot_usd=bars.close[bars.at(first)])
        after = (bars.low if price == "low" else bars.close)[bars.at(last)]
        assert day.after[underlying] == Level(spot_usd=after)


@pytest.mark.parametrize("name", SNAPSHOTS)
def test_snapshot_levels_are_recorded(name: str) -> None:
    rows = {(row["timestamp"], row["currency"]): row for row in index_iv()}
    perps = {(row["obs_datetime"][:19], row["coin"]): row for row in perpetuals()}
    day = DAYS[name]
    for levels, stamp in zip((day.before, day.after), SNAPSHOTS[name], strict=True):
        for underlying, level in levels.items():
            row = rows[stamp, underlying]
            assert level == Level(
                spot_usd=float(row["index_price"]),
                vol_7d=float(row["atm_iv_7d"]),
                vol_30d=float(row["atm_iv_30d"]),
                vol_90d=float(row["atm_iv_90d"]),
                risk_reversal_30d=float(row["rr25_30d"]),
                forward_30d_usd=float(row["fwd_30d"]),
                perp_usd=float(perps[stamp, underlying]["perp_futures_mark_price"]),
            )


def _claims(day: StressDay) -> dict[str, float]:
    return {coin: float(move) / 100.0 for coin, move in re.findall(r"(BTC|ETH) ([+-][\d.]+) %", day.what)}


@pytest.mark.parametrize("day", LIBRARY, ids=lambda day: day.name)
def test_descriptions_are_true(day: StressDay) -> None:
    claims = _claims(day)
    assert claims.keys() == day.before.keys()
    for underlying, claimed in claims.items():
        move = move_between(day.before[underlying], day.after[underlying])
        assert move.spot == pytest.approx(claimed, abs=0.0005)
    vols = re.search(r"30-day vols ([+-]\d+) % and ([+-]\d+) %", day.what)
    if vols:
        moved = [100.0 * move_between(day.before[u], day.after[u]).vol for u in ("BTC", "ETH")]
        assert [round(v) for v in moved] == [int(v) for v in vols.groups()]


def test_the_library_covers_both_coins_and_both_directions() -> None:
    days = covered(LIBRARY, ["BTC", "ETH"])
    table = stress_scenarios(["BTC", "ETH"], days)
    assert len(table) == len(LIBRARY) - 1
    assert (table.spot_move.min(axis=0) < -0.15).all()
    assert (table.spot_move.max(axis=0) > 0.07).all()
    # The record's extremes: 3 February 2025 is where hedging ETH with BTC failed.
    apart = table.names.index("stress/2025-02-03")
    assert table.spot_move[apart, 1] / table.spot_move[apart, 0] > 3.5
    assert np.isfinite(table.skew_move).all()


def test_worst_recorded_eth_day_is_in_the_library() -> None:
    # Source: recordings: worst 24 hours of ETH, log return -0.272, on 5 August 2024 (hourly closes);
    # from daily close to low the day gives -0.242.
    move = move_between(DAYS["2024-08-05"].before["ETH"], DAYS["2024-08-05"].after["ETH"])
    assert np.log1p(move.spot) == pytest.approx(-0.242, abs=5e-4)
