"""Reference prices: what is trusted, what is a gap, and that order plays no part."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeper.market.oracles import NO_CHAIN, references
from keeper.model.params import StalenessParams
from keeper.model.quote import Quote
from keeper.model.units import ONE, Wad

NOW_S = 1_700_000_000
LIMITS = StalenessParams(max_quote_age_s=3600, max_surface_age_s=86_400, max_skew_s=120, max_deviation=0.05)


def index(
    price: float, *, subject: str = "ETH", source: str = "lyra:10:Oracle", age_s: int = 0, kind: str = "index"
) -> Quote:
    return Quote(
        subject=subject,
        kind=kind,  # type: ignore[arg-type]
        price=Wad(round(price * ONE)),
        source=source,
        chain_id=int(source.split(":")[1]),
        observed_at_s=NOW_S - age_s,
    )


def test_one_index_is_the_reference() -> None:
    found = references([index(2000)], needed=set(), taken_at_s=NOW_S, limits=LIMITS)
    (quote,) = found.quotes
    assert (quote.subject, quote.kind, quote.price) == ("ETH", "reference", 2000 * ONE)
    assert (quote.chain_id, quote.source) == (10, "median of lyra:10:Oracle")
    assert not found.gaps
    assert not found.stale


def test_two_indices_meet_in_the_middle() -> None:
    quotes = [index(2000), index(2010, source="curie:42161:BaseToken", age_s=60)]
    (quote,) = references(quotes, needed={"ETH"}, taken_at_s=NOW_S, limits=LIMITS).quotes
    assert quote.price == 2005 * ONE
    assert quote.chain_id == NO_CHAIN
    assert quote.observed_at_s == NOW_S - 60
    assert quote.source == "median of curie:42161:BaseToken, lyra:10:Oracle"


def test_of_three_the_middle_one_counts() -> None:
    quotes = [index(p, source=f"v{i}:1:o") for i, p in enumerate((2040, 2000, 2001))]
    (quote,) = references(quotes, needed=set(), taken_at_s=NOW_S, limits=LIMITS).quotes
    assert quote.price == 2001 * ONE


@pytest.mark.parametrize(("apart", "trusted"), [(0.05, True), (0.0501, False), (0.5, False)])
def test_indices_too_far_apart_trust_nobody(apart: float, trusted: bool) -> None:
    quotes = [index(2000), index(2000 * (1 + apart), source="curie:42161:BaseToken")]
    found = references(quotes, needed=set(), taken_at_s=NOW_S, limits=LIMITS)
    assert bool(found.quotes) is trusted
    if not trusted:
        (gap,) = found.gaps
        assert (gap.what, gap.key) == ("quote", "ETH")
        assert "apart, limit is 5.00%" in gap.reason


@pytest.mark.parametrize(("age_s", "fit"), [(3600, True), (3601, False), (-100, True)])
def test_age_is_measured_in_chain_time(age_s: int, fit: bool) -> None:
    found = references([index(2000, age_s=age_s)], needed=set(), taken_at_s=NOW_S, limits=LIMITS)
    assert bool(found.quotes) is fit
    assert [(g.what, g.key) for g in found.gaps] == (
        [] if fit else [("quote", "lyra:10:Oracle/ETH"), ("quote", "ETH")]
    )


def test_a_stale_index_does_not_spoil_a_fresh_one() -> None:
    quotes = [index(1000, age_s=9999), index(2000, source="curie:42161:BaseToken")]
    found = references(quotes, needed={"ETH"}, taken_at_s=NOW_S, limits=LIMITS)
    assert [q.price for q in found.quotes] == [2000 * ONE]
    assert [g.key for g in found.gaps] == ["lyra:10:Oracle/ETH"]
    assert [q.price for q in found.stale] == [1000 * ONE]


@pytest.mark.parametrize("price", [0.0, -1.0])
def test_a_price_that_is_not_positive_is_unfit(price: float) -> None:
    found = references([index(price)], needed=set(), taken_at_s=NOW_S, limits=LIMITS)
    assert found.quotes == ()
    assert "not positive" in found.gaps[0].reason


def test_what_is_needed_and_not_quoted_is_a_gap() -> None:
    found = references([index(2000)], needed={"BTC", "ETH"}, taken_at_s=NOW_S, limits=LIMITS)
    assert [(g.key, g.reason) for g in found.gaps] == [("BTC", "no venue quotes it")]


def test_marks_are_no_oracles() -> None:
    found = references([index(2000, kind="mark")], needed={"ETH"}, taken_at_s=NOW_S, limits=LIMITS)
    assert found.quotes == ()
    assert found.gaps[0].key == "ETH"


quotes = st.lists(
    st.builds(
        index,
        st.floats(1.0, 3000.0),
        subject=st.sampled_from(["ETH", "BTC"]),
        source=st.sampled_from(["a:1:x", "b:2:x", "c:3:x", "d:4:x"]),
        age_s=st.integers(-10, 5000),
    ),
    max_size=8,
    unique_by=lambda q: (q.subject, q.source),
)


@given(quotes, st.integers(0, 1000))
def test_order_plays_no_part_and_every_underlying_ends_one_way(told: list[Quote], seed: int) -> None:
    shuffled = list(told)
    random.Random(seed).shuffle(shuffled)
    found = references(told, needed={"SOL"}, taken_at_s=NOW_S, limits=LIMITS)
    assert references(shuffled, needed={"SOL"}, taken_at_s=NOW_S, limits=LIMITS) == found
    priced, missing = {q.subject for q in found.quotes}, {g.key for g in found.gaps}
    for underlying in {"SOL", *(q.subject for q in told)}:
        assert (underlying in priced) is not (underlying in missing)
    for quote in found.quotes:
        fit = [q.price for q in told if q.subject == quote.subject and q not in found.stale]
        assert min(fit) <= quote.price <= max(fit)
        assert max(fit) <= min(fit) * 1.0500001
