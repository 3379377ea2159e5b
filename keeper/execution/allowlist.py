"""Which calls may leave: those that the configured venues' adapters declare, to their own contracts."""

from collections.abc import Iterable, Sequence
from typing import Final

from keeper.chain import abi
from keeper.execution.errors import NotAllowedError
from keeper.model.reads import Address
from keeper.model.venue import Venue
from keeper.protocols.adapter import Adapter
from keeper.protocols.tokens import ERC20

_APPROVE: Final = "approve"
_ADDRESS_ARGUMENT: Final = slice(34, 74)
"""Of 0x-prefixed calldata: the 20 bytes of a first argument that is an address."""


class AllowList:
    """(chain, contract, selector) of every call that may be signed."""

    def __init__(self, venues: Iterable[tuple[Venue, Adapter]]) -> None:
        """Derive the list. Raises `AbiMissing` for a call without ABI."""
        calls: set[tuple[int, str, str]] = set()
        approvals: set[tuple[int, str, str]] = set()
        for venue, adapter in venues:
            own = {name: address.lower() for name, address in venue.contracts}
            for contract, fn in adapter.sends:
                selector = abi.selector(contract, fn)
                if contract == ERC20:
                    tokens, spenders = _tokens(venue), own.values()
                    if fn == _APPROVE:
                        approvals |= {(venue.chain_id, t, s) for t in tokens for s in spenders}
                    calls |= {(venue.chain_id, token, selector) for token in tokens}
                elif (to := own.get(contract.rpartition("/")[2])) is not None:
                    calls.add((venue.chain_id, to, selector))
        self._calls = frozenset(calls)
        self._approvals = frozenset(approvals)
        self._approve = abi.selector(ERC20, _APPROVE) if approvals else ""

    def check(self, chain_id: int, to: Address, data: str) -> None:
        """Let a declared call pass. Raises `NotAllowedError` for any other, and for approving a stranger."""
        target, selector = to.lower(), data[:10]
        if (chain_id, target, selector) not in self._calls:
            raise NotAllowedError(chain_id, to, selector)
        if selector == self._approve:
            spender = "0x" + data[_ADDRESS_ARGUMENT].lower()
            if (chain_id, target, spender) not in self._approvals:
                raise NotAllowedError(
                    chain_id, to, selector, f"approves {spender}, which is no venue's contract"
                )

    def rows(self) -> Sequence[tuple[int, str, str]]:
        """Return the list, sorted, for `keeper check`."""
        return sorted(self._calls)


def _tokens(venue: Venue) -> frozenset[str]:
    """Return the venue's contracts that have no ABI of their own: its assets."""
    return frozenset(
        address.lower()
        for name, address in venue.contracts
        if not (abi.ABI_ROOT / venue.protocol / f"{name}.json").exists()
    )
