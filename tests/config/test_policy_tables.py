"""`[policy]`: what could not be carried out is refused when the file is read."""

import pytest

from tests.config.conftest import TEXT, Write, problems


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ("band = 2.0", "band = 0.0", "policy.hedge[0].band"),
        ("lot = 0.001", "lot = 4.1", "policy.hedge[0]"),
        ("call_below = 1.2 ", "call_below = 1.6 ", "policy.ladder"),
        ("spot_steps = 9", "spot_steps = 8", "policy.house.spot_steps"),
        ("target_health = 1.3", "target_health = 1.1", "policy"),
    ],
)
def test_what_the_policy_could_not_carry_out_is_refused(write: Write, old: str, new: str, key: str) -> None:
    assert old in TEXT
    assert problems(write(TEXT.replace(old, new))).keys() == {key}
