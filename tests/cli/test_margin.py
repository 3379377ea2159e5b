"""`keeper margin`, through its real command line."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result

from keeper.cli.margin import margin
from keeper.risk.models import NAMES
from tests.support.shared import vectors

FORWARD = {
    "trades": [
        {
            "factor": "commodity/metals",
            "hedging_set": "metals",
            "entity": "silver",
            "market_value": 100,
            "notional": 10_000,
            "direction": "long",
            "maturity_y": 5,
        }
    ]
}


def run(*arguments: str | Path, stdin: str | None = None) -> Result:
    app = typer.Typer()
    app.command("margin")(margin)
    return CliRunner().invoke(app, [str(argument) for argument in arguments], input=stdin)


def written(folder: Path, content: object) -> Path:
    path = folder / "book.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def answer(result: Result) -> Any:
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def refused(result: Result, *words: str) -> str:
    """The command left with 2 and one line that holds all `words`, and printed no number."""
    assert result.exit_code == 2, result.output
    assert not isinstance(result.exception, Exception)
    lines = result.stderr.strip().splitlines()
    assert len(lines) == 1, result.stderr
    for word in words:
        assert word in lines[0]
    return lines[0]


def test_every_model_is_listed() -> None:
    listed = answer(run("--list", "--json"))
    assert listed["schema"] == "keeper.margin/1"
    assert [model["name"] for model in listed["models"]] == list(NAMES)
    shown = run("--list")
    assert shown.exit_code == 0
    assert all(name in shown.stdout for name in NAMES)


@pytest.mark.parametrize(
    ("model", "file", "kept"),
    [
        ("derive-pmrm-1", "derive/pmrm_v1_mainnet_script.json", 160),
        ("derive-pmrm-2", "derive/pmrm_v2_portfolio_cases.json", 120),
        ("derive-srm", "derive/srm_mainnet_script.json", 160),
    ],
)
def test_vector_files_are_read_as_they_are(model: str, file: str, kept: int) -> None:
    path = vectors(file)
    document = answer(run("--model", model, "--input", path, "--json"))
    assert document["schema"] == "keeper.margin/1"
    assert document["model"] == model
    cases = json.loads(path.read_text(encoding="utf-8"))["cases"]
    assert [result["id"] for result in document["results"]] == [case["id"] for case in cases]
    assert len(cases) == kept
    fields = {"id", "im", "mm", "mtm", "worst_im", "worst_mm", "scenario_pnl"}
    assert all(result.keys() == fields for result in document["results"])
    expected = int(cases[-1]["output"]["im"]) / 10**18
    assert document["results"][-1]["im"] == pytest.approx(expected, rel=1e-12)


def test_prices_come_one_per_row() -> None:
    document = answer(run("-m", "black76", "-i", vectors("derive/black76.json"), "--json"))
    assert len(document["results"]) == 800
    assert document["results"][0].keys() == {"id", "call", "put", "call_delta"}


def test_a_bare_list_of_cases_brings_its_own_parameters() -> None:
    path = vectors("deribit_pme/pme_simulate_cases.json")
    results = answer(run("-m", "deribit-pme", "-i", path, "--json"))["results"]
    assert [result["im"] for result in results] == pytest.approx([0.122861343, 0.157461562], abs=1e-12)


def test_named_netting_sets() -> None:
    path = vectors("saccr/bcbs279_examples.json")
    results = answer(run("-m", "saccr", "-i", path, "--json"))["results"]
    assert {r["id"]: round(r["ead"]) for r in results} == {
        "ex1": 569,
        "ex2": 381,
        "ex3": 5406,
        "ex4": 936,
        "ex5": 1879,
    }


def test_one_portfolio_from_standard_input() -> None:
    result = answer(run("-m", "saccr", "-i", "-", "--json", stdin=json.dumps(FORWARD)))
    # EAD = 1.4 (100 + 18 % x 10,000)
    assert result["results"][0]["ead"] == pytest.approx(1.4 * 1900.0, rel=1e-15)


def test_the_table_names_units_and_cases(tmp_path: Path) -> None:
    shown = run("-m", "saccr", "-i", written(tmp_path, {"cases": [{"id": "silver", **FORWARD}]}))
    assert shown.exit_code == 0
    for word in ("silver", "ead", "trade ccy", "2,660.00"):
        assert word in shown.stdout


def test_an_unknown_model_is_refused_before_the_file_is_read(tmp_path: Path) -> None:
    refused(run("-m", "span", "-i", tmp_path / "absent.json"), "span", "derive-srm")


@pytest.mark.parametrize("given", [[], ["--model", "saccr"], ["--input", "x.json"]])
def test_a_model_and_a_file_are_needed(given: Sequence[str]) -> None:
    refused(run(*given), "missing")


def test_an_unreadable_file_is_named(tmp_path: Path) -> None:
    refused(run("-m", "saccr", "-i", tmp_path / "absent.json"), "absent.json", "cannot be read")
    refused(run("-m", "saccr", "-i", tmp_path), tmp_path.name, "cannot be read")
    (tmp_path / "binary.json").write_bytes(b"\xff\xfe\x00")
    refused(run("-m", "saccr", "-i", tmp_path / "binary.json"), "binary.json", "UTF-8")


@pytest.mark.parametrize(
    "content", ["", "{", "[1, 2", '{"cases": [}', "[" * 100_000, '{"x": ' + "9" * 5000 + "}"]
)
def test_what_is_not_json_is_named(tmp_path: Path, content: str) -> None:
    refused(run("-m", "saccr", "-i", written(tmp_path, content)), "book.json", "is not JSON")


@pytest.mark.parametrize("content", [[], {}, {"cases": []}, {"cases": {}}, {"cases": [1]}, 3, None, "text"])
@pytest.mark.parametrize("model", NAMES)
def test_a_document_without_cases_is_refused_by_every_model(
    tmp_path: Path, model: str, content: object
) -> None:
    refused(run("-m", model, "-i", written(tmp_path, json.dumps(content))), "book.json")


def test_the_case_and_the_field_are_named(tmp_path: Path) -> None:
    broken = {"trades": [{**FORWARD["trades"][0], "notional": float("nan")}]}
    path = written(tmp_path, {"cases": [{"id": "fine", **FORWARD}, {"id": "broken", **broken}]})
    refused(run("-m", "saccr", "-i", path), "book.json", "cases[1] (broken)", "trades[0].notional", "nan")


def test_a_refusal_is_one_object_with_json(tmp_path: Path) -> None:
    result = run("-m", "saccr", "-i", tmp_path / "absent.json", "--json")
    refused(result, "absent.json")
    document = json.loads(result.stdout)
    assert document["schema"] == "keeper.margin/1"
    assert "absent.json" in document["error"]
    assert "results" not in document


def test_a_row_of_the_wrong_length_is_named(tmp_path: Path) -> None:
    table = {"columns": ["timeToExpirySec", "discount"], "rows": [["0"]]}
    refused(run("-m", "black76", "-i", written(tmp_path, table)), "rows[0]", "2 values")


def test_help_shows_examples() -> None:
    shown = run("--help")
    assert shown.exit_code == 0
    assert "keeper margin --model derive-pmrm-2" in shown.stdout
