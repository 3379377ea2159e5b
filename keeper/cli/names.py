"""Instruments, accounts and amounts as people type them, to what the snapshot calls them.

An instrument is named by its id, or by underlying, day, strike and right as in the tables: `ETH-PERP`,
`ETH-15JAN26-2100-C`. An account is named by its id, by the end of it, or as tables shorten it. Upper and
lower case do not matter; a name that means several things is refused with all of them.
"""

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from typing import Final

from keeper.cli.text import brief, day
from keeper.model.errors import ConfigError
from keeper.model.instrument import Instrument, Option, Perp
from keeper.model.snapshot import Snapshot
from keeper.model.units import ONE, Wad, to_float
from keeper.policy.stress_table import UserShock
from keeper.policy.whatif import NEW, Move, Trade

_LISTED: Final = 6
_GREATEST_MOVE: Final = 100.0
"""10,000 %: a typing error, not a market."""

_AMOUNT: Final = re.compile(r"(?P<amount>[^:\s]*?)\s*:?\s*(?P<asset>[A-Za-z][\w.]*)?")
_DECIMAL: Final = re.compile(r"[+-]?(\d{1,30}(\.\d{0,30})?|\.\d{1,30})")
_MOVE: Final = re.compile(r"(?P<number>[+-]?[\d.]+)\s*(?P<percent>%?)")


class UnknownNameError(ConfigError):
    """A name means nothing in this snapshot."""

    name: str

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        names = sorted(set(known))
        close = difflib.get_close_matches(name.upper(), [n.upper() for n in names], n=_LISTED, cutoff=0.5)
        likely = [n for n in names if n.upper() in close] or names[:_LISTED]
        more = f" and {len(names) - len(likely)} more" if len(names) > len(likely) else ""
        super().__init__(
            f"no {kind} {name} in the snapshot: there is {', '.join(likely)}{more}"
            if names
            else f"no {kind} {name}: the snapshot holds none"
        )
        self.name = name


class AmbiguousNameError(ConfigError):
    """A name means several things."""

    name: str

    def __init__(self, kind: str, name: str, meant: Iterable[str]) -> None:
        super().__init__(f"{kind} {name} is one of {', '.join(sorted(meant))}: name it in full")
        self.name = name


class BadArgumentError(ConfigError):
    """The value of an option cannot be read."""

    def __init__(self, option: str, text: str, expected: str) -> None:
        super().__init__(f"{option} {text}: expected {expected}")
        self.option = option
        self.text = text


def label(instrument: Instrument) -> str:
    """Return an instrument as people name it: `ETH-PERP`, `ETH-15JAN26-2100-C`."""
    if isinstance(instrument, Option):
        strike, right = f"{to_float(instrument.strike):g}", instrument.right.value[0].upper()
        return f"{instrument.underlying}-{day(instrument.expiry_s).upper()}-{strike}-{right}"
    return f"{instrument.underlying}-{'PERP' if isinstance(instrument, Perp) else 'SPOT'}"


def instrument_named(text: str, snapshot: Snapshot) -> str:
    """Return the id of the instrument that `text` names.

    Raises `UnknownNameError` and `AmbiguousNameError`.
    """
    names = {i.id: {i.id, brief(i.id), label(i)} for i in snapshot.instruments}
    return _meant("instrument", text, names, shown=[label(i) for i in snapshot.instruments])


def account_named(text: str, snapshot: Snapshot) -> str:
    """Return the id of the account that `text` names; one to be opened keeps its name. Raises alike."""
    if text.rpartition(":")[2].split("-")[0] == NEW:
        return text
    names = {a.id: {a.id, brief(a.id), a.key, brief(a.key)} for a in snapshot.accounts}
    return _meant("account", text, names, shown=[brief(a.id) for a in snapshot.accounts])


def trade_of(text: str, snapshot: Snapshot) -> Trade:
    """Read `INSTRUMENT=SIZE[@ACCOUNT]`. Raises `BadArgumentError`, and as the names do."""
    instrument, _, rest = text.partition("=")
    size, _, account = rest.partition("@")
    amount = _decimal(size)
    if not instrument or amount is None or ("@" in rest and not account):
        raise BadArgumentError(
            "--trade", text, "INSTRUMENT=SIZE or INSTRUMENT=SIZE@ACCOUNT, as ETH-PERP=-2.5"
        )
    return Trade(
        instrument=instrument_named(instrument.strip(), snapshot),
        size=amount,
        account=account_named(account.strip(), snapshot) if account else None,
    )


def move_of(text: str, snapshot: Snapshot) -> Move:
    """Read `ACCOUNT=AMOUNT[:ASSET]`. Raises alike."""
    account, _, rest = text.partition("=")
    read = _AMOUNT.fullmatch(rest.strip())
    amount = _decimal(read["amount"]) if read else None
    if not account or read is None or amount is None:
        raise BadArgumentError(
            "--move", text, "ACCOUNT=AMOUNT or ACCOUNT=AMOUNT:ASSET, as lyra:10:3=500:sUSD"
        )
    return Move(account=account_named(account.strip(), snapshot), amount=amount, asset=read["asset"])


def shock_of(text: str) -> UserShock:
    """Read `UNDERLYING=SPOT[/VOL]`, each a fraction or a percentage. Raises `BadArgumentError`."""
    underlying, _, rest = text.partition("=")
    spot, slash, vol = rest.partition("/")
    spot_move, vol_move = _fraction(spot), _fraction(vol) if slash else 0.0
    if not underlying or spot_move is None or vol_move is None:
        raise BadArgumentError("--shock", text, "UNDERLYING=SPOT or UNDERLYING=SPOT/VOL, as ETH=-10%/+40%")
    if not (spot_move > -1.0 and vol_move >= -1.0 and max(spot_move, vol_move) < _GREATEST_MOVE):
        raise BadArgumentError("--shock", text, f"moves above -100 % and below {_GREATEST_MOVE:.0%}")
    return UserShock(underlying=underlying.strip(), spot=spot_move, vol=vol_move)


def shocks_of(texts: Sequence[str], snapshot: Snapshot) -> list[UserShock]:
    """Read one scenario, each underlying once. Raises `BadArgumentError` and `UnknownNameError`."""
    known = {i.underlying for i in snapshot.instruments}
    found: dict[str, UserShock] = {}
    for text in texts:
        shock = shock_of(text)
        if shock.underlying not in known:
            raise UnknownNameError("underlying", shock.underlying, known)
        if shock.underlying in found:
            raise BadArgumentError("--shock", text, "each underlying once")
        found[shock.underlying] = shock
    return list(found.values())


def _meant(kind: str, text: str, names: Mapping[str, set[str]], *, shown: Iterable[str]) -> str:
    wanted = text.lower()
    exact = [i for i, known in names.items() if wanted in {k.lower() for k in known}]
    found = exact or [i for i in names if i.lower().endswith(f":{wanted}")]
    if not found:
        raise UnknownNameError(kind, text, shown)
    if len(found) > 1:
        raise AmbiguousNameError(kind, text, found)
    return found[0]


def _decimal(text: str) -> Wad | None:
    """Return an exact amount; None where the text is no decimal, or has more than 18 places."""
    read = _DECIMAL.fullmatch(text.strip())
    scaled = Fraction(read[0]) * ONE if read else None
    return None if scaled is None or scaled.denominator != 1 else Wad(scaled.numerator)


def _fraction(text: str) -> float | None:
    read = _MOVE.fullmatch(text.strip())
    if read is None:
        return None
    try:
        return float(read["number"]) / (100.0 if read["percent"] else 1.0)
    except ValueError:
        return None
