"""On-chain margin keeper: one cross-chain margin profile over option and perp venues."""

__version__ = "0.1.0"
