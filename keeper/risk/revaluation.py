"""Revalue every distinct contract in every scenario: the one place where scenarios meet prices.

    spot     P&L = S m                              m spot move, b basis move, w weight
    perp     P&L = F ((1 + m)(1 + b_perp) - 1)
    future   P&L = F ((1 + m)(1 + b_future) - 1)
    option   P&L = D (V(F (1 + m)(1 + b_future), vol') - V(F, vol))

all times w, in USD per unit of the underlying. V is the undiscounted Black-76 price and vol' the
shocked vol of `scenarios.shocked_vol`. Perps and dated forwards have their own basis factors, so a
spot hedged with a perp keeps the risk of its basis.

Coin-settled contracts pay coins, which are worth the *shocked spot*, not the shocked forward. With
the discount factor read as spot over forward, S = D F, the same P&L in USD becomes

    perp, future   D (F' - F) / (1 + b)             (q m / (1 + m) coins, each worth S')
    option         D (V(F', vol') / (1 + b_future) - V(F, vol))

so without a basis move they are worth what their USD twins are, and with one they are not.

Source: Deribit portfolio margin (`private/pme/simulate`) for the factors; the coin formulas are derived
in `risk.inverse`.
"""

from typing import Final

import numpy as np

from keeper.risk import kernels
from keeper.risk.book import Instruments, Kind
from keeper.risk.inputs import Floats, positions_of
from keeper.risk.kernels.twins import Ints
from keeper.risk.scenarios import Scenarios, tenor_factor

DAYS_PER_YEAR: Final = 365.0


def revalue(instruments: Instruments, scenarios: Scenarios) -> Floats:
    """Return the P&L of one unit of each contract in each scenario.

    Parameters
    ----------
    instruments
        N contracts. Every underlying they name must be one of `scenarios`.
    scenarios
        S scenarios over the underlyings, in any order.

    Returns
    -------
    Floats
        USD per unit of the underlying, shape (N, S), C order; profit positive for a long. Multiply by
        signed sizes (`Book.sizes_base`) and add up.

    Raises
    ------
    UnfitValueError
        An underlying has no column in `scenarios`.

    Notes
    -----
    Cost: from 10**5 options x scenarios on, 7 ns each. Beyond the result, memory for about 10**6
    numbers, whatever N and S.

    Examples
    --------
    >>> from keeper.risk.book import instruments
    >>> from keeper.risk.scenarios import scenarios
    >>> perp = instruments(
    ...     ids=["perp"], underlyings=["ETH"], underlying=[0], kind=[Kind.PERP], strike_usd=[0.0],
    ...     expiry_y=[0.0], forward_usd=[2000.0], vol=[0.0], discount=[1.0], inverse=[False],
    ... )
    >>> revalue(perp, scenarios(["ETH"], ["down", "up"], spot_move=[-0.1, 0.1])).round(9).tolist()
    [[-200.0, 200.0]]
    """
    columns = positions_of("underlyings", instruments.underlyings, scenarios.underlyings)
    profit = np.empty((len(instruments), len(scenarios)))
    tenor, group = _tenors(instruments, scenarios)
    option_columns = (
        instruments.forward_usd,
        instruments.strike_usd,
        instruments.expiry_y,
        instruments.vol,
        instruments.discount,
        np.where(instruments.kind == Kind.PUT, -1.0, 1.0),
        instruments.inverse.astype(np.float64),
    )
    for underlying, column in enumerate(columns):
        ours = instruments.underlying == underlying
        _linear(instruments, np.flatnonzero(ours & ~instruments.is_option), scenarios, column, profit)
        options = np.flatnonzero(ours & instruments.is_option)
        kernels.option_profit(options, option_columns, tenor, group, _moves(scenarios, column), profit)
    return profit


def _linear(instruments: Instruments, rows: Ints, scenarios: Scenarios, column: int, profit: Floats) -> None:
    """Write the P&L of the spots, perps and futures `rows`, all of one underlying."""
    spot = scenarios.spot_move[:, column]
    basis_of = {
        Kind.SPOT: np.zeros(len(scenarios)),
        Kind.PERP: scenarios.perp_basis_move[:, column],
        Kind.FUTURE: scenarios.future_basis_move[:, column],
    }
    for row in rows:
        basis = basis_of[Kind(instruments.kind[row])]
        gain = instruments.forward_usd[row] * (spot + basis + spot * basis)
        if instruments.inverse[row]:
            gain = instruments.discount[row] * gain / (1.0 + basis)
        profit[row] = scenarios.weight * gain


def _moves(scenarios: Scenarios, column: int) -> Floats:
    """Return the scenario columns of one underlying in the order that the kernels name, shape (6, S)."""
    basis = 1.0 + scenarios.future_basis_move[:, column]
    return np.vstack(
        [
            (1.0 + scenarios.spot_move[:, column]) * basis,
            basis,
            scenarios.vol_move[:, column],
            scenarios.skew_move[:, column],
            scenarios.vol_floor,
            scenarios.weight,
        ]
    )


def _tenors(instruments: Instruments, scenarios: Scenarios) -> tuple[Floats, Ints]:
    """Return the tenor factor per contract and distinct pair of powers, (N, G), and each scenario's pair."""
    powers = np.column_stack([scenarios.vol_power_short, scenarios.vol_power_long])
    pairs, group = np.unique(powers, axis=0, return_inverse=True)
    days = DAYS_PER_YEAR * instruments.expiry_y[:, None]
    factors = tenor_factor(days, power_short=pairs[:, 0], power_long=pairs[:, 1])
    return np.ascontiguousarray(factors), group.astype(np.int64)
