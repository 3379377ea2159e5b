"""Pure numerics: arrays in, arrays and frozen values out. Knows no chain, no venue address, no clock.

| question | modules |
| --- | --- |
| what is it worth? | `black76`, `inverse`, `implied_vol`, `smile`, and the surface modules |
| what may happen? | `scenarios`, `shocks`, `history`, `simulation`, `stress`, `stress_days` |
| what is it worth then? | `book`, `revaluation`, `kernels` |
| how bad is it? | `scan`, `tail`, `horizon`, `allocation`, `backtest`, `procyclicality` |
| what do legs do for each other? | `netting`, `basis`, `covariance`, `figures` |
| how far is the line? | `liquidation_price`, `reverse_stress`, `latency`, `monitoring`, `concentration` |
| what does a venue ask? | `models`, one file each, by name; `lyra_collateral`, `saccr` |

Every array that comes from outside passes `inputs`: what is unfit is named by field and row, and no NaN
becomes a margin. Randomness only through a generator that the caller passes in.
"""
