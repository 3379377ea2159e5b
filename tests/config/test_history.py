"""The file of daily closes: what it becomes, and every way in which it is refused, with its line."""

import dataclasses
from datetime import date, timedelta
from pathlib import Path

import pytest

from keeper.config.errors import SettingsError
from keeper.config.history import PricesUnfitError, read_history
from keeper.config.load import load
from tests.config.conftest import EXAMPLE, Write

TEXT = EXAMPLE.read_text()
FIRST = date(2025, 1, 1)
FIRST_END_S = 1_735_776_000
"""2025-01-02 00:00 UTC."""


def table(days: int = 120, *, without: int | None = None) -> list[str]:
    """Return a header and one line a day."""
    rows = [
        f"{FIRST + timedelta(days=n)},{2000 + n}.25,{40_000 - 3 * n}" for n in range(days) if n != without
    ]
    return ["date,ETH,BTC", *rows]


def written(folder: Path, lines: list[str]) -> Path:
    path = folder / "prices.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_closes_belong_to_the_end_of_their_day(tmp_path: Path) -> None:
    history = read_history(written(tmp_path, table()))
    assert history.underlyings == ("ETH", "BTC")
    assert history.times_s[:2] == (FIRST_END_S, FIRST_END_S + 86_400)
    assert history.closes_usd[:2] == ((2000.25, 40_000.0), (2001.25, 39_997.0))
    assert len(history.closes_usd) == 120


def test_a_day_may_be_missing_and_blank_lines_do_not_count(tmp_path: Path) -> None:
    history = read_history(written(tmp_path, [*table(without=50), ""]))
    assert len(history.times_s) == 119
    assert history.times_s[50] - history.times_s[49] == 2 * 86_400


@pytest.mark.parametrize(
    ("change", "line", "said"),
    [
        ({0: "day,ETH,BTC"}, 1, "expected a header"),
        ({0: "date"}, 1, "expected a header"),
        ({0: "date,ETH,"}, 1, "expected a header"),
        ({0: "date,ETH,ETH"}, 1, "twice"),
        ({7: "2025-01-07,1.0"}, 8, "2 cells"),
        ({7: "2025-01-07,1.0,1.0,1.0"}, 8, "4 cells"),
        ({7: "yesterday,1.0,1.0"}, 8, 'date is "yesterday"'),
        ({7: "2025-01-06,1.0,1.0"}, 8, "does not come after 2025-01-06"),
        ({7: "2025-01-07,,1.0"}, 8, 'ETH is ""'),
        ({7: "2025-01-07,1.0,0"}, 8, 'BTC is "0"'),
        ({7: "2025-01-07,1.0,-3"}, 8, 'BTC is "-3"'),
        ({7: "2025-01-07,nan,1.0"}, 8, 'ETH is "nan"'),
        ({7: "2025-01-07,1.0,inf"}, 8, 'BTC is "inf"'),
        ({7: '2025-01-07,"1.0'}, None, "CSV"),
    ],
)
def test_an_unfit_line_is_named(tmp_path: Path, change: dict[int, str], line: int | None, said: str) -> None:
    lines = table()
    for number, text in change.items():
        lines[number] = text
    with pytest.raises(PricesUnfitError, match=said) as caught:
        read_history(written(tmp_path, lines))
    assert caught.value.line == line


@pytest.mark.parametrize("lines", [[], ["date,ETH"], table(100), ["date,ETH", *["2025-01-01,1"]]])
def test_too_few_days_are_no_history(tmp_path: Path, lines: list[str]) -> None:
    with pytest.raises(PricesUnfitError):
        read_history(written(tmp_path, lines))


def test_what_is_no_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "prices.csv"
    path.write_bytes(b"date,ETH\n\xff\xfe")
    with pytest.raises(PricesUnfitError, match="UTF-8"):
        read_history(path)
    with pytest.raises(PricesUnfitError, match="cannot be read"):
        read_history(tmp_path)


def test_the_configuration_reads_it_beside_itself_into_the_digest(write: Write, tmp_path: Path) -> None:
    without = load(write(TEXT), {}).params()
    assert without.house.history is None
    named = TEXT.replace('history = ""', 'history = "prices.csv"')
    written(tmp_path, table())
    first = load(write(named), {}).params()
    assert first.house.history == read_history(tmp_path / "prices.csv")
    written(tmp_path, [*table(), "2025-06-01,1800.0,35000.0"])
    second = load(write(named), {}).params()
    assert len({without.digest, first.digest, second.digest}) == 3
    bare = dataclasses.replace(first, house=dataclasses.replace(first.house, history=None))
    assert bare.digest == without.digest


def test_an_unfit_file_is_one_problem_among_the_others(write: Write) -> None:
    text = TEXT.replace('history = ""', 'history = "none.csv"').replace("spot_steps = 9", "spot_steps = 8")
    with pytest.raises(SettingsError) as caught:
        load(write(text), {})
    problems = {p.key: str(p) for p in caught.value.problems}
    assert problems.keys() == {"policy.house.history", "policy.house.spot_steps"}
    assert "none.csv" in problems["policy.house.history"]


def test_a_path_from_the_environment_is_used_and_not_shown(write: Write, tmp_path: Path) -> None:
    text = TEXT.replace('history = ""', 'history = "${FEED}"')
    path = written(tmp_path, table())
    assert load(write(text), {"FEED": str(path)}).params().house.history is not None
    with pytest.raises(SettingsError) as caught:
        load(write(text), {"FEED": "s3cret.csv"})
    assert "s3cret" not in str(caught.value)


def test_charges_for_size_need_every_volume(write: Write) -> None:
    text = TEXT.replace("impact = 0.0 ", "impact = 1.0 ")
    with pytest.raises(SettingsError) as caught:
        load(write(text.replace("volume_usd = {}", "volume_usd = { ETH = 5e9 }")), {})
    assert [p.key for p in caught.value.problems] == ["policy.house.daily_volume_usd.BTC"]
    house = load(
        write(text.replace("volume_usd = {}", "volume_usd = { ETH = 5e9, BTC = 2e10 }")), {}
    ).params()
    assert house.house.daily_volume_usd == (("BTC", 2e10), ("ETH", 5e9))
