"""The parameters that Lyra's local market is set up with: the package's own defaults.

Source: `dist/test/utils/defaultParams.js` of the package. Fractions and vols are of 1e18, times seconds.
"""

from collections.abc import Mapping
from typing import Any, Final

from keeper.devnet.contract import MAX
from keeper.model.units import ONE, Wad

HOUR_S: Final = 3_600
DAY_S: Final = 86_400
WEEK_S: Final = 7 * DAY_S

_NOBODY: Final = "0x" + "00" * 20
SECURITY_MODULE: Final = "0x" + "efee" * 10


def _percent(x: int) -> Wad:
    return Wad(x * ONE // 100)


PARAMETERS: Final[Mapping[tuple[str, str], Mapping[str, Any]]] = {
    ("OptionMarket", "setOptionMarketParams"): {
        "maxBoardExpiry": 360 * DAY_S,
        "securityModule": SECURITY_MODULE,
        "feePortionReserved": _percent(10),
        "staticBaseSettlementFee": 75 * ONE // 10_000,
    },
    ("LiquidityPool", "setLiquidityPoolParameters"): {
        "minDepositWithdraw": ONE,
        "depositDelay": WEEK_S,
        "withdrawalDelay": WEEK_S,
        "withdrawalFee": _percent(1),
        "liquidityCBThreshold": _percent(1),
        "liquidityCBTimeout": 3 * DAY_S,
        "ivVarianceCBThreshold": _percent(10),
        "skewVarianceCBThreshold": _percent(35),
        "ivVarianceCBTimeout": 12 * HOUR_S,
        "skewVarianceCBTimeout": 12 * HOUR_S,
        "guardianMultisig": _NOBODY,
        "guardianDelay": 2 * WEEK_S,
        "boardSettlementCBTimeout": 6 * HOUR_S,
        "maxFeePaid": _percent(1),
    },
    ("ShortPoolHedger", "setPoolHedgerParams"): {"interactionDelay": DAY_S, "hedgeCap": MAX},
    ("OptionGreekCache", "setGreekCacheParameters"): {
        "maxStrikesPerBoard": 30,
        "acceptableSpotPricePercentMove": _percent(5),
        "staleUpdateDuration": 3 * HOUR_S,
        "varianceIvGWAVPeriod": DAY_S,
        "varianceSkewGWAVPeriod": 3 * DAY_S,
        "optionValueIvGWAVPeriod": DAY_S,
        "optionValueSkewGWAVPeriod": 3 * DAY_S,
        "gwavSkewFloor": _percent(50),
        "gwavSkewCap": _percent(200),
        "rateAndCarry": _percent(5),
    },
    ("OptionGreekCache", "setMinCollateralParameters"): {
        "minStaticBaseCollateral": _percent(20),
        "minStaticQuoteCollateral": 200 * ONE,
        "shockVolA": _percent(250),
        "shockVolPointA": 2 * WEEK_S,
        "shockVolB": _percent(180),
        "shockVolPointB": 8 * WEEK_S,
        "callSpotPriceShock": _percent(120),
        "putSpotPriceShock": _percent(80),
    },
    ("OptionGreekCache", "setForceCloseParameters"): {
        "ivGWAVPeriod": 12 * HOUR_S,
        "skewGWAVPeriod": DAY_S,
        "shortVolShock": _percent(120),
        "shortPostCutoffVolShock": _percent(140),
        "longVolShock": _percent(80),
        "longPostCutoffVolShock": _percent(50),
        "liquidateVolShock": _percent(130),
        "liquidatePostCutoffVolShock": _percent(160),
        "shortSpotMin": _percent(1),
        "liquidateSpotMin": _percent(2),
    },
    ("OptionMarketPricer", "setPricingParams"): {
        "optionPriceFeeCoefficient": _percent(1),
        "optionPriceFee1xPoint": 6 * WEEK_S,
        "optionPriceFee2xPoint": 16 * WEEK_S,
        "spotPriceFeeCoefficient": _percent(1),
        "spotPriceFee1xPoint": 6 * WEEK_S,
        "spotPriceFee2xPoint": 12 * WEEK_S,
        "vegaFeeCoefficient": 100 * ONE,
        "standardSize": 5 * ONE,
        "skewAdjustmentFactor": _percent(75),
    },
    ("OptionMarketPricer", "setTradeLimitParams"): {
        "maxBaseIV": _percent(200),
        "maxSkew": _percent(150),
        "minBaseIV": _percent(35),
        "minSkew": _percent(50),
        "minDelta": _percent(15),
        "minForceCloseDelta": _percent(25),
        "minVol": _percent(55),
        "maxVol": _percent(300),
        "tradingCutoff": DAY_S // 2,
        "absMaxSkew": _percent(500),
        "absMinSkew": _percent(15),
        "capSkewsToAbs": False,
    },
    ("OptionMarketPricer", "setVarianceFeeParams"): {
        "defaultVarianceFeeCoefficient": _percent(25),
        "forceCloseVarianceFeeCoefficient": _percent(25),
        "skewAdjustmentCoefficient": 3 * ONE,
        "referenceSkew": ONE,
        "minimumStaticSkewAdjustment": ONE,
        "vegaCoefficient": _percent(1),
        "minimumStaticVega": 0,
        "ivVarianceCoefficient": _percent(150),
        "minimumStaticIvVariance": ONE,
    },
    ("OptionToken", "setPartialCollateralParams"): {
        "penaltyRatio": _percent(20),
        "liquidatorFeeRatio": _percent(40),
        "smFeeRatio": _percent(30),
        "minLiquidationFee": 15 * ONE,
    },
}
"""(contract, its setter) to the struct by component names, in the order in which they are set"""
