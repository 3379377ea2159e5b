"""`keeper stress` and `keeper whatif` on a journaled cycle: JSON, tables, and wrong use in one line."""

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from keeper.cli.output import WIDTH
from keeper.cli.profile_view import profiles_view
from keeper.cli.source import Taken
from keeper.cli.stress_view import stress_view
from keeper.journal.journal import Journal
from keeper.model.record import RecordKind
from keeper.model.units import to_float
from keeper.policy.decide import decide, margin_profiles
from keeper.policy.stress import stress
from tests.cli.conftest import Run
from tests.policy.test_stress import BOOK, CALL, PERP, PUT
from tests.support import books

PARAMS = books.params(history=books.price_history("ETH"))
MARKET = books.snapshot([*BOOK, books.curie_account(owner=books.STRANGER, size=5.0, cash=1_000.0)])
LATER = books.snapshot([*BOOK], spot=1_700.0)


@pytest.fixture(scope="module")
def journal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("journal") / "journal.jsonl"
    with Journal.open(path) as journal:
        for name, snapshot in (("first", MARKET), ("second", LATER)):
            decided = decide(snapshot, PARAMS)
            journal.decided(name, snapshot, PARAMS, decided.plan, decided.profiles)
    return path


@pytest.fixture
def configured(config: Path, journal: Path) -> Path:
    """The example's configuration, with this journal."""
    text = config.read_text()
    assert '"journal.jsonl"' in text
    config.write_text(text.replace('"journal.jsonl"', f'"{journal}"'))
    return config


def test_stress_of_a_journaled_cycle_as_json(run: Run, journal: Path) -> None:
    ran = run("stress", "--journal", str(journal), "--cycle", "first", "--shock", "ETH=-20%/+50%", "--json")
    assert (ran.code, ran.err) == (0, "")
    assert ran.json["schema"] == "keeper.stress/1"
    assert ran.json["cycle_id"] == "first"
    assert ran.json["snapshot_digest"] == MARKET.digest
    assert ran.json["params_digest"] == PARAMS.digest
    assert [b["chain_id"] for b in ran.json["blocks"]] == [10, 42161]
    desk, watched = ran.json["profiles"]
    assert (desk["name"], watched["name"]) == ("desk", "watched")
    kinds = {r["kind"] for r in desk["results"]}
    assert kinds == {"day", "basis", "grid", "dark", "shock"}
    minimum = {
        "name", "kind", "what", "shocks", "weight", "pnl_usd", "equity_usd", "house_initial_usd",
        "venue_maintenance_usd", "liquidatable", "newly", "unknown",
    }  # fmt: skip
    assert all(minimum <= r.keys() for r in desk["results"])
    (yours,) = [r for r in desk["results"] if r["kind"] == "shock"]
    assert (yours["shocks"][0]["spot"], yours["shocks"][0]["vol"]) == (-0.2, 0.5)
    assert PUT.id in yours["newly"]
    assert [r["buffer"] for r in desk["reverse"]] == ["house", "venue"]
    assert desk["covariance"] == "history"


def test_the_last_cycle_is_the_default_and_has_a_name(run: Run, journal: Path, configured: Path) -> None:
    for arguments in (
        ("--journal", str(journal)),
        ("--journal", str(journal), "--cycle", "last"),
        ("-c", str(configured), "--cycle", "last"),
        ("-c", str(configured), "--cycle", "second"),
    ):
        ran = run("stress", "--json", *arguments)
        assert (ran.code, ran.json["cycle_id"]) == (0, "second")


def test_only_the_profiles_asked_for(run: Run, journal: Path) -> None:
    ran = run("stress", "--journal", str(journal), "--profile", "watched", "--json")
    assert [p["name"] for p in ran.json["profiles"]] == ["watched"]


def test_stress_as_tables(run: Run, journal: Path, configured: Path) -> None:
    ran = run("stress", "-c", str(configured), "--cycle", "first", "--shock", "ETH=-10%")
    assert ran.code == 0
    lines = ran.out.splitlines()
    assert max(map(len, lines)) <= WIDTH
    assert "…" not in ran.out
    for word in (
        "2024-08-05",
        "2026-02-05",
        "ETH by proxy",
        "worst of the grid",
        "optimism dark",
        "arbitrum dark",
        "yours",
        "basis, worst of 8",
        "first venue fails",
        PUT.id,
        "journaled cycle first",
        "daily sd",
    ):
        assert word in ran.out
    everything = run("stress", "--journal", str(journal), "--all").out
    assert everything.count("basis ") == 8
    assert "chain 10 dark" in everything


def test_the_table_names_what_it_cannot_judge() -> None:
    market = books.snapshot([PUT, PERP], without=["surface"])
    source = Taken(snapshot=market, params=PARAMS, chains={}, cycle_id=None)
    stream = io.StringIO()
    Console(file=stream, width=WIDTH, no_color=True).print(
        stress_view(source, stress(market, books.params()))
    )
    text = stream.getvalue()
    assert "venue rule not known, so neither healthy nor failing: lyra:10:1" in text
    assert "left out for want of a price: lyra:10:1" in text
    assert "no price history" in text
    assert "holds nothing that moves" in text


def test_whatif_as_json(run: Run, journal: Path) -> None:
    ran = run(
        "whatif", "--journal", str(journal), "--cycle", "first",
        "--trade", "ETH-PERP=2", "--trade", f"{books.PUT_ID}=-1@new", "--move", "lyra:10:new=900",
        "--move", f"{CALL.id}=0.25:sETH", "--json",
    )  # fmt: skip
    assert (ran.code, ran.err) == (0, "")
    assert ran.json["schema"] == "keeper.whatif/1"
    assert [t["account"] for t in ran.json["trades"]] == [PERP.id, "lyra:10:new"]
    assert [m["asset"] for m in ran.json["moves"]] == ["sUSD", "sETH"]
    desk, watched = ran.json["profiles"]
    assert watched["before"] == watched["after"]
    before = json.loads(json.dumps(desk["before"]))
    assert before["equity_usd"] == margin_profiles(MARKET, PARAMS)[0].equity_usd
    assert {"venue_sum", "house", "netting_benefit_usd", "exposures", "transfer"} <= before.keys()
    assert desk["after"]["exposures"][0]["delta_base"] > before["exposures"][0]["delta_base"]
    accounts = {a["id"]: a for a in ran.json["accounts"]}
    assert accounts.keys() == {PERP.id, "lyra:10:new", CALL.id}
    assert accounts["lyra:10:new"]["before"] is None
    assert accounts["lyra:10:new"]["after"]["equity_usd"] == 900.0
    assert accounts[PERP.id]["after"]["maintenance_usd"] < to_float(PERP.venue.maintenance)


def test_whatif_stands_side_by_side(run: Run, journal: Path) -> None:
    ran = run(
        "whatif", "--journal", str(journal), "--cycle", "first", "--trade", "ETH-PERP=2", "--move", "1=-500"
    )
    assert ran.code == 0
    assert max(map(len, ran.out.splitlines())) <= WIDTH
    assert "…" not in ran.out
    (titles,) = [line for line in ran.out.splitlines() if "before" in line and "after" in line]
    assert titles.index("before") < titles.index("after") < titles.index("change")
    for word in (
        "1  venue requirement",
        "2  house risk",
        "3  transfer feasibility",
        "ETH delta, units",
        "+2.000",
        "buy 2 ETH-PERP at 1,800.00 USD",
        "move 500.00 sUSD out of lyra:10:1",
        "Accounts that change",
        "4,500 -> 4,000",
        "ES 99 %, 1 day",
    ):
        assert word in ran.out
    assert "Profile watched" not in ran.out


def test_a_question_that_changes_nothing_says_so(run: Run, journal: Path) -> None:
    ran = run("whatif", "--journal", str(journal), "--trade", "ETH-PERP=0")
    assert ran.code == 0
    assert "no profile changes" in ran.out


@pytest.mark.parametrize(
    "arguments",
    [
        ("stress", "--cycle", "nope"),
        ("stress", "--shock", "ETH=-100%"),
        ("stress", "--shock", "DOGE=-1%"),
        ("stress", "--shock", "ETH"),
        ("stress", "--profile", "nobody"),
        ("stress", "--at", "optimism=1"),
        ("whatif",),
        ("whatif", "--cycle", "nope", "--trade", "ETH-PERP=1"),
        ("whatif", "--trade", "ETH-PREP=1"),
        ("whatif", "--trade", "ETH-PERP=many"),
        ("whatif", "--trade", "ETH-PERP=1@lyra:10:1"),
        ("whatif", "--trade", f"{books.CALL_ID}=1@lyra:10:1"),
        ("whatif", "--move", "lyra:10:99=1"),
        ("whatif", "--move", "lyra:10:1=1:USDC"),
    ],
)
@pytest.mark.parametrize("as_json", [False, True])
def test_wrong_use_is_one_line_and_2(
    run: Run, journal: Path, arguments: tuple[str, ...], as_json: bool
) -> None:
    ran = run(*arguments, "--journal", str(journal), *(["--json"] if as_json else []))
    assert ran.code == 2
    assert ran.err.startswith("keeper: ")
    assert ran.err.count("\n") == 1
    if as_json:
        assert (ran.json["schema"], ran.json["exit"]) == ("keeper.error/1", 2)
    else:
        assert ran.out == ""


@pytest.mark.parametrize("command", [["stress"], ["whatif", "--trade", "ETH-PERP=1"]])
def test_a_journal_that_cannot_serve(run: Run, tmp_path: Path, journal: Path, command: list[str]) -> None:
    missing = run(*command, "--journal", str(tmp_path / "none.jsonl"))
    assert (missing.code, missing.err.count("\n")) == (2, 1)
    empty = tmp_path / "empty.jsonl"
    Journal.open(empty).close()
    assert run(*command, "--journal", str(empty)).code == 2
    damaged = tmp_path / "damaged.jsonl"
    damaged.write_bytes(journal.read_bytes().replace(b"1800", b"1900", 1))
    assert run(*command, "--journal", str(damaged)).code == 3
    bare = tmp_path / "bare.jsonl"
    with Journal.open(bare) as written:
        written.append(RecordKind.PLAN, "c", 0, {"plan_id": "x"})
    assert run(*command, "--journal", str(bare)).code == 1


def test_the_profile_names_its_best_pairs_and_whose_the_risk_is() -> None:
    profiles = margin_profiles(MARKET, PARAMS)
    stream = io.StringIO()
    Console(file=stream, width=WIDTH, no_color=True).print(
        profiles_view(MARKET, profiles, chains={}, ladder=PARAMS.ladder)
    )
    text = stream.getvalue()
    assert max(map(len, text.splitlines())) <= WIDTH
    assert "…" not in text
    for word in ("Pairs that one margin account would save most on", "Parts of the netted scan", "part of ES",
                 "VaR, 1 day", "floor", "closes to"):  # fmt: skip
        assert word in text
    assert text.count("Pairs that") == 1
