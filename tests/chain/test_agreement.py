"""Several answers into one: a lone liar or laggard is found out, or can do no harm."""

from hypothesis import given
from hypothesis import strategies as st

from keeper.chain.agreement import lowest, near, prudent, same
from keeper.chain.transactions import Fees
from keeper.model.snapshot import BlockRef

numbers = st.integers(0, 10**12)


@given(numbers, st.lists(numbers, min_size=1, max_size=4))
def test_the_same_is_only_what_all_say_where_all_must(own: int, others: list[int]) -> None:
    agreed = same([own, *others], 1 + len(others))
    assert agreed == ((own,) if set(others) == {own} else None)


@given(numbers, numbers, st.integers(2, 5), st.data())
def test_a_minority_is_outvoted_wherever_it_stands(
    truth: int, lie: int, honest: int, data: st.DataObject
) -> None:
    liars = data.draw(st.integers(0, honest - 1))
    told = data.draw(st.permutations([truth] * honest + [lie] * liars))
    assert same(told, honest) == (truth,)


def test_two_answers_of_as_many_voices_are_none() -> None:
    assert same([5, 5, 3, 3], 2) is None
    assert same([5, 3, 3], 2) == (3,)
    assert same([5, 3, 4], 2) is None


def test_nothing_may_be_agreed_on() -> None:
    assert same([None, None], 2) == (None,)
    assert same([None, "receipt"], 2) is None


@given(st.lists(numbers, min_size=2, max_size=5), numbers, st.data())
def test_one_liar_cannot_raise_what_many_confirm(honest: list[int], lie: int, data: st.DataObject) -> None:
    told = data.draw(st.permutations([*honest, lie]))
    votes = data.draw(st.integers(2, len(told)))
    (agreed,) = lowest(told, votes) or (None,)
    assert agreed is not None
    assert sum(number >= agreed for number in told) >= votes
    assert agreed <= max(honest)


def head(number: int) -> BlockRef:
    return BlockRef(chain_id=1, number=number, hash=hex(number), parent_hash="0x", timestamp_s=number)


@given(st.lists(st.integers(0, 30), min_size=1, max_size=4), st.integers(0, 10))
def test_a_head_is_at_most_so_far_ahead(told: list[int], lag: int) -> None:
    agreed = near(lag)([head(number) for number in told], len(told))
    assert (agreed is not None) == (told[0] - min(told) <= lag)
    if agreed is not None:
        assert agreed[0].number == told[0]


def test_a_laggard_does_not_make_others_look_ahead() -> None:
    assert near(5)([head(100), head(7), head(99)], 2) == (head(100),)
    assert near(5)([head(100), head(7), head(9)], 2) is None


def modern(base: int, tip: int) -> Fees:
    return Fees(base_fee_wei=base, priority_fee_wei=tip, legacy_gas_price_wei=None)


def legacy(price: int) -> Fees:
    return Fees(base_fee_wei=0, priority_fee_wei=price, legacy_gas_price_wei=price)


@given(st.lists(st.tuples(st.integers(1, 10**12), numbers), min_size=1, max_size=4))
def test_fees_cover_every_base_fee_and_give_away_the_least_tip(told: list[tuple[int, int]]) -> None:
    agreed = prudent([modern(base, tip) for base, tip in told], len(told))
    bases, tips = [base for base, _ in told], [tip for _, tip in told]
    if max(bases) > min(bases) * 5 // 4 + 2:
        assert agreed is None
    elif agreed is not None:
        assert agreed[0] == modern(max(bases), min(tips))
    else:
        assert max(bases) * 4 > min(bases) * 5


@given(st.integers(10**6, 10**12), st.integers(0, 10**18), numbers, st.integers(0, 2))
def test_one_liar_of_three_sets_no_price(base: int, lie: int, tip: int, place: int) -> None:
    told = [modern(base, tip), modern(base, tip)]
    told.insert(place, modern(lie, 10**30))
    (agreed,) = prudent(told, 2) or (None,)
    assert agreed is not None
    assert agreed.base_fee_wei <= base * 5 // 4 + 2
    assert agreed.priority_fee_wei == tip


def test_fees_of_two_blocks_apart_agree() -> None:
    assert prudent([modern(10**9, 5), modern(10**9 * 9 // 8, 5)], 2) == (modern(10**9 * 9 // 8, 5),)
    assert prudent([modern(0, 1), modern(0, 2)], 2) == (modern(0, 1),)


def test_legacy_prices_agree_on_the_lower_and_not_with_base_fees() -> None:
    assert prudent([legacy(9), legacy(7)], 2) == (legacy(7),)
    assert prudent([legacy(9), modern(9, 1)], 2) is None
    assert prudent([legacy(9), modern(9, 1), legacy(8)], 2) == (legacy(8),)
