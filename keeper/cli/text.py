"""Numbers, times and names as people read them. Every function returns plain text."""

import re
from datetime import UTC, datetime
from typing import Final

NOTHING: Final = "-"
"""Stands where there is no figure: not zero."""

ADDRESS: Final = re.compile(r"0x([0-9a-fA-F]{4})[0-9a-fA-F]{32,56}([0-9a-fA-F]{4})\b")


def usd(amount_usd: float | None, places: int = 0) -> str:
    """Return an amount with thousands separators: `12,346`."""
    return _number(amount_usd, f",.{places}f")


def compact(amount_usd: float | None) -> str:
    """Return an amount in at most nine characters: `9,999,999`, then `12.3M`, `4.5B`."""
    for unit, size in (("B", 1e9), ("M", 1e6)):
        if amount_usd is not None and abs(amount_usd) >= 10 * size:
            return f"{amount_usd / size:,.1f}{unit}"
    return usd(amount_usd)


def signed(amount: float | None, places: int = 3) -> str:
    """Return an amount with its sign: `+1,234.500`."""
    return _number(amount, f"+,.{places}f")


def ratio(value: float | None) -> str:
    """Return a health ratio: `1.043`; beyond 100 only that."""
    return ">100" if value is not None and value > 100 else _number(value, ".3f")


def size(amount: float) -> str:
    """Return a signed size without needless places: `+12`, `-0.48`."""
    return f"{amount:+,.4f}".rstrip("0").rstrip(".")


def percent(fraction: float | None, places: int = 1) -> str:
    """Return a fraction as a percentage: `12.3 %`."""
    return NOTHING if fraction is None else f"{_number(fraction * 100.0, f',.{places}f')} %"


def duration(seconds: float | None) -> str:
    """Return a span of time in its natural unit: `45 s`, `12 min`, `3.4 h`, `5.0 d`."""
    if seconds is None:
        return NOTHING
    for unit, size_s, below_s in (("s", 1, 120), ("min", 60, 7200), ("h", 3600, 172_800)):
        if seconds < below_s:
            return f"{seconds / size_s:.1f} {unit}" if unit == "h" else f"{seconds / size_s:.0f} {unit}"
    return f"{seconds / 86_400:.1f} d" if seconds < 86_400 * 3650 else "> 10 y"


def utc(time_s: float) -> str:
    """Return a time as `2024-05-06 07:08:09 UTC`."""
    return datetime.fromtimestamp(time_s, tz=UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def day(time_s: float) -> str:
    """Return a day as `06May24`."""
    return datetime.fromtimestamp(time_s, tz=UTC).strftime("%d%b%y")


def brief(text: str) -> str:
    """Shorten every address and hash in a text: `curie:42161:0x90F7...b906`."""
    return ADDRESS.sub(r"0x\1...\2", text)


def count(number: int, noun: str) -> str:
    """Return `1 account`, `2 accounts`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def _number(value: float | None, spec: str) -> str:
    """Format a number; None is no figure, and a rounded zero has no sign."""
    if value is None:
        return NOTHING
    text = format(value, spec)
    bare = text.lstrip("+-")
    return bare if not bare.strip("0.,") else text
