"""Derive's managers against answers of the compiled contracts: every margin and every scenario."""

import pytest

from tests.risk.models.twin import ROUNDING, answers, loaded, one, scale

PORTFOLIO_MANAGERS = [
    ("derive-pmrm-1", "derive/pmrm_v1_mainnet_script.json"),
    ("derive-pmrm-1", "derive/pmrm_v1_test_config.json"),
    ("derive-pmrm-2", "derive/pmrm_v2_mainnet_script.json"),
    ("derive-pmrm-2", "derive/pmrm_v2_portfolio_cases.json"),
]


@pytest.mark.parametrize(
    ("name", "path"), [*PORTFOLIO_MANAGERS, ("derive-srm", "derive/srm_mainnet_script.json")]
)
def test_margins_and_value(name: str, path: str) -> None:
    for case, result in answers(name, loaded(path)):
        tolerance = ROUNDING * scale(case["input"])
        for field in ("im", "mm", "mtm"):
            error = abs(getattr(result, field) - one(case["output"][field]))
            assert error <= tolerance, (case["id"], field, error)


@pytest.mark.parametrize(("name", "path"), PORTFOLIO_MANAGERS)
def test_every_scenario(name: str, path: str) -> None:
    for case, result in answers(name, loaded(path)):
        recorded = [one(pnl) for pnl in case["output"]["scenarioPnl"]]
        tolerance = ROUNDING * scale(case["input"])
        assert result.scenario_pnl == pytest.approx(recorded, rel=0, abs=tolerance), case["id"]


@pytest.mark.parametrize(("name", "path"), PORTFOLIO_MANAGERS)
def test_the_worst_scenario(name: str, path: str) -> None:
    """The same one, or one that the contract itself puts within rounding of it."""
    others = 0
    file = loaded(path)
    for case, result in answers(name, file):
        output = case["output"]
        losses = [one(pnl) for pnl in output["scenarioPnl"]]
        losses.append(one(case["intermediate"]["basisContingency"]))
        for ours, theirs in ((result.worst_im, output["worstIM"]), (result.worst_mm, output["worstMM"])):
            others += ours != theirs
            assert losses[ours] == pytest.approx(losses[theirs], rel=0, abs=ROUNDING * scale(case["input"]))
    # Boxes lose the same in many scenarios, so there truncation decides in the contract.
    assert others <= 0.06 * len(file["cases"])


def test_the_standard_manager_has_no_scenarios() -> None:
    for _, result in answers("derive-srm", loaded("derive/srm_mainnet_script.json")):
        assert (result.worst_im, result.worst_mm, result.scenario_pnl) == (None, None, ())
