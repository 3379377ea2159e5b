"""Settlement: due after expiry by the chain's own clock, and once."""

import pytest

from keeper.model.plan import Settle
from keeper.model.snapshot import Board
from keeper.policy.settlements import settlement
from tests.support.books import LYRA, NOW_S, lyra_short, snapshot

SNAPSHOT = snapshot([lyra_short()])


def board(
    expiry_s: int, *, settled: bool = False, waiting: tuple[str, ...] = ("lyra:10:1",), chain_id: int = 10
) -> Board:
    return Board(
        venue=LYRA, chain_id=chain_id, key="1", expiry_s=expiry_s, settled=settled, open_positions=waiting
    )


def test_an_expired_board_is_settled_with_its_positions() -> None:
    decision, action = settlement(board(NOW_S - 60), SNAPSHOT, enabled=True)
    assert isinstance(action, Settle)
    assert action.accounts == ("lyra:10:1",)
    assert "60 s ago" in decision.reason.text


@pytest.mark.parametrize(
    ("which", "rule"),
    [
        (board(NOW_S + 1), "not-expired"),
        (board(NOW_S - 1, settled=True, waiting=()), "settled"),
        (board(NOW_S - 1, chain_id=5), "not-expired"),
    ],
)
def test_nothing_is_done_before_its_time_or_twice(which: Board, rule: str) -> None:
    decision, action = settlement(which, SNAPSHOT, enabled=True)
    assert (decision.rule, action) == (rule, None)


def test_switched_off_says_so() -> None:
    decision, action = settlement(board(NOW_S), SNAPSHOT, enabled=False)
    assert (decision.rule, action) == ("switched-off", None)


def test_positions_left_behind_by_a_settled_board_still_count() -> None:
    _, action = settlement(board(NOW_S, settled=True), SNAPSHOT, enabled=True)
    assert action is not None
    assert action.board_settled
