"""The registry: names that configurations use, and adapters that hold nothing."""

from keeper.model.plan import ActionKind
from keeper.protocols.registry import ADAPTERS


def test_every_adapter_is_known_by_its_own_name() -> None:
    assert sorted(ADAPTERS) == ["curie", "lyra"]
    for name, adapter in ADAPTERS.items():
        assert adapter.name == name
        assert ActionKind.MARGIN_CALL not in adapter.actions, "a call for margin sends nothing"
        assert adapter.contracts
        assert adapter.sends
        assert vars(adapter()) == {}, "an adapter holds no provider and no state"
