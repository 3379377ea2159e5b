"""What may leave: the calls that adapters declare, to the contracts of their venues, and nothing else."""

import pytest
from eth_utils.crypto import keccak

from keeper.chain import abi
from keeper.execution.allowlist import AllowList
from keeper.execution.errors import NotAllowedError
from keeper.model.reads import Address, Send
from keeper.model.venue import Venue
from keeper.protocols.registry import ADAPTERS
from keeper.protocols.tokens import ERC20
from tests.execution.bell import BELL, SPENDER, Bell, bell_venue

STRANGER = Address("0x000000000000000000000000000000000000dEaD")


def venue(protocol: str, chain_id: int) -> Venue:
    names = sorted(ADAPTERS[protocol].contracts)
    contracts = tuple((name, Address(f"0x{i + 1:040x}")) for i, name in enumerate(names))
    return Venue(protocol=protocol, chain_id=chain_id, contracts=contracts, from_block=0)


LYRA, CURIE = venue("lyra", 10), venue("curie", 42161)
REAL = AllowList([(LYRA, ADAPTERS["lyra"]()), (CURIE, ADAPTERS["curie"]())])


def approval(spender: Address) -> str:
    return abi.encode(Send(ERC20, BELL, "approve", (spender, 5)))


@pytest.mark.parametrize("protocol", sorted(ADAPTERS))
def test_every_call_that_an_adapter_declares_is_allowed_at_its_own_contract_alone(protocol: str) -> None:
    own = {"lyra": LYRA, "curie": CURIE}[protocol]
    for contract, fn in ADAPTERS[protocol].sends:
        selector = abi.selector(contract, fn)
        if contract == ERC20:
            continue
        name = contract.rpartition("/")[2]
        REAL.check(own.chain_id, own.address(name), selector)
        with pytest.raises(NotAllowedError):
            REAL.check(own.chain_id + 1, own.address(name), selector)
        with pytest.raises(NotAllowedError):
            REAL.check(own.chain_id, STRANGER, selector)


@pytest.mark.parametrize(
    ("protocol", "assets"), [("lyra", {"QuoteAsset", "BaseAsset"}), ("curie", {"SettlementToken"})]
)
def test_only_assets_may_be_approved_and_only_to_the_venue(protocol: str, assets: set[str]) -> None:
    own = {"lyra": LYRA, "curie": CURIE}[protocol]
    for name, address in own.contracts:
        for _, spender in own.contracts:
            if name in assets:
                REAL.check(own.chain_id, address, approval(spender))
            else:
                with pytest.raises(NotAllowedError):
                    REAL.check(own.chain_id, address, approval(spender))
        with pytest.raises(NotAllowedError, match=r"approves 0x0+dead|is not on the allow-list"):
            REAL.check(own.chain_id, address, approval(STRANGER))


@pytest.mark.parametrize("fn", ["transfer(address,uint256)", "transferFrom(address,address,uint256)"])
def test_no_token_may_be_transferred(fn: str) -> None:
    selector = "0x" + keccak(text=fn)[:4].hex()
    for own in (LYRA, CURIE):
        for _, address in own.contracts:
            with pytest.raises(NotAllowedError):
                REAL.check(own.chain_id, address, selector + "00" * 64)


@pytest.mark.parametrize("data", ["0x", "", "0x095ea7", "0x00000000"])
def test_calldata_without_a_known_selector(data: str) -> None:
    allowed = AllowList([(bell_venue(10), Bell())])
    with pytest.raises(NotAllowedError):
        allowed.check(10, BELL, data)


def test_a_shortened_approval_is_refused() -> None:
    allowed = AllowList([(bell_venue(10), Bell())])
    allowed.check(10, BELL, approval(SPENDER))
    with pytest.raises(NotAllowedError):
        allowed.check(10, BELL, approval(SPENDER)[:40])


def test_upper_and_lower_case_are_the_same_address() -> None:
    allowed = AllowList([(bell_venue(10), Bell())])
    for spelled in (BELL.lower(), "0x" + BELL[2:].upper()):
        allowed.check(10, Address(spelled), approval(SPENDER))


def test_without_venues_nothing_may_leave() -> None:
    with pytest.raises(NotAllowedError):
        AllowList([]).check(10, BELL, approval(SPENDER))
