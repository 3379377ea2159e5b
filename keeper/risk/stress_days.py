"""The stress days themselves: levels as recorded, each with its source."""

from typing import Final

from keeper.risk.stress import Level, StressDay

_DAILY: Final = "BTC: Bitstamp daily bars (mathaszip/BTCprice @ 34486739)"
_DAILY_BOTH: Final = f"{_DAILY}; ETH: Binance daily bars (ILearn-better/eth-quant-backtest @ ce37dec7)"
_CHAINS: Final = (
    "Deribit index, at-the-money vols, 25-delta risk reversal and forward of the expiries nearest to 7, 30 "
    "and 90 days (9, 23 and 79 days at the start), perpetual mark (znmahbub/"
    "SVCJ-Deribit-Inverse-Options-Pricer @ 516b0cb0)"
)

_BTC_FEB_04_0424: Final = Level(
    spot_usd=76514.88,
    vol_7d=0.5021,
    vol_30d=0.4774,
    vol_90d=0.4655,
    risk_reversal_30d=-0.058,
    forward_30d_usd=76783.19,
    perp_usd=76594.0,
)
_ETH_FEB_04_0424: Final = Level(
    spot_usd=2274.32,
    vol_7d=0.7422,
    vol_30d=0.6887,
    vol_90d=0.6598,
    risk_reversal_30d=-0.0826,
    forward_30d_usd=2280.84,
    perp_usd=2279.2,
)
_BTC_FEB_04_2133: Final = Level(
    spot_usd=73104.95,
    vol_7d=0.561,
    vol_30d=0.5093,
    vol_90d=0.4913,
    risk_reversal_30d=-0.0625,
    forward_30d_usd=73239.46,
    perp_usd=73083.0,
)
_ETH_FEB_04_2133: Final = Level(
    spot_usd=2139.7299999999996,
    vol_7d=0.8338,
    vol_30d=0.7497,
    vol_90d=0.6869,
    risk_reversal_30d=-0.0833,
    forward_30d_usd=2145.11,
    perp_usd=2143.35,
)
_BTC_FEB_05_2129: Final = Level(
    spot_usd=63858.345,
    vol_7d=1.0185,
    vol_30d=0.8548,
    vol_90d=0.6564,
    risk_reversal_30d=-0.1471,
    forward_30d_usd=63761.81,
    perp_usd=63844.5,
)
_ETH_FEB_05_2129: Final = Level(
    spot_usd=1873.93,
    vol_7d=1.1778,
    vol_30d=0.9997,
    vol_90d=0.7926,
    risk_reversal_30d=-0.1835,
    forward_30d_usd=1885.02,
    perp_usd=1876.25,
)
_BTC_FEB_06_2130: Final = Level(
    spot_usd=70302.95,
    vol_7d=0.5999,
    vol_30d=0.5342,
    vol_90d=0.4956,
    risk_reversal_30d=-0.1217,
    forward_30d_usd=70357.77,
    perp_usd=70313.5,
)
_ETH_FEB_06_2130: Final = Level(
    spot_usd=2048.36,
    vol_7d=0.7919,
    vol_30d=0.7514,
    vol_90d=0.7003,
    risk_reversal_30d=-0.0802,
    forward_30d_usd=2052.29,
    perp_usd=2053.3,
)

LIBRARY: Final = (
    StressDay(
        name="2020-03-12",
        what="pandemic panic: BTC -38.8 % from close to close; no ETH, no vols recorded",
        before={"BTC": Level(spot_usd=7938.05)},
        after={"BTC": Level(spot_usd=4857.1)},
        source=f"closes of 11 and 12 March 2020. {_DAILY}",
    ),
    StressDay(
        name="2024-05-20",
        what="rally on fund approval: ETH +19.2 %, BTC +7.8 %, for short books",
        before={"BTC": Level(spot_usd=66261.62), "ETH": Level(spot_usd=3071.19)},
        after={"BTC": Level(spot_usd=71432.17), "ETH": Level(spot_usd=3661.78)},
        source=f"closes of 19 and 20 May 2024. {_DAILY_BOTH}",
    ),
    StressDay(
        name="2024-08-05",
        what="carry trades unwind: BTC -15.6 %, ETH -21.5 % from close to low",
        before={"BTC": Level(spot_usd=58130.95), "ETH": Level(spot_usd=2688.92)},
        after={"BTC": Level(spot_usd=49050.01), "ETH": Level(spot_usd=2111.0)},
        source=f"close of 4 August and low of 5 August 2024. {_DAILY_BOTH}",
    ),
    StressDay(
        name="2025-02-03",
        what="the coins part: ETH -25.9 %, BTC -6.7 % from close to low",
        before={"BTC": Level(spot_usd=97676.52), "ETH": Level(spot_usd=2869.68)},
        after={"BTC": Level(spot_usd=91178.01), "ETH": Level(spot_usd=2125.01)},
        source=f"close of 2 February and low of 3 February 2025. {_DAILY_BOTH}",
    ),
    StressDay(
        name="2026-02-05",
        what="crash, its worst day: BTC -12.6 %, ETH -12.4 %, 30-day vols +68 % and +33 %",
        before={"BTC": _BTC_FEB_04_2133, "ETH": _ETH_FEB_04_2133},
        after={"BTC": _BTC_FEB_05_2129, "ETH": _ETH_FEB_05_2129},
        source=f"snapshots of 2026-02-04T21:33:08 and 2026-02-05T21:29:37. {_CHAINS}",
    ),
    StressDay(
        name="2026-02-04/05",
        what="crash, 41 hours: BTC -16.5 %, ETH -17.6 %, 30-day vols +79 % and +45 %",
        before={"BTC": _BTC_FEB_04_0424, "ETH": _ETH_FEB_04_0424},
        after={"BTC": _BTC_FEB_05_2129, "ETH": _ETH_FEB_05_2129},
        source=f"snapshots of 2026-02-04T04:24:03 and 2026-02-05T21:29:37. {_CHAINS}",
    ),
    StressDay(
        name="2026-02-06",
        what="rebound: BTC +10.1 %, ETH +9.3 %, 30-day vols -38 % and -25 %, for short and long-vega books",
        before={"BTC": _BTC_FEB_05_2129, "ETH": _ETH_FEB_05_2129},
        after={"BTC": _BTC_FEB_06_2130, "ETH": _ETH_FEB_06_2130},
        source=f"snapshots of 2026-02-05T21:29:37 and 2026-02-06T21:30:57. {_CHAINS}",
    ),
)
"""In order of time. Filter with `stress.covered` to the days that hold a book's underlyings."""
