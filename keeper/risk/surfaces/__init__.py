"""Implied volatility over strikes and expiries: from quotes to a surface without arbitrage.

| step | modules |
| --- | --- |
| quotes in, and what is wrong with them | `smile_quotes`, `forwards`, `quote_arbitrage` |
| one expiry | `svi`, `svi_start`, `svi_objective`, `fit_problem`, `svi_fit` |
| a few parameters for a sparse board | `ssvi`, `ssvi_fit` |
| is it free of arbitrage, and if not | `arbitrage`, `svi_repair`, `svi_lift` |
| vol anywhere, shocked or not | `surface`; `smile` for a venue's own board, node by node |
| variance without a model | `variance_index` |
"""
