"""Lyra's own figures, asked of its contracts, and actions on its accounts."""

from typing import Any, Literal

from eth_abi.abi import decode, encode
from eth_utils.crypto import keccak

from keeper.model.book import Account, Balance
from keeper.model.plan import Liquidate, MoveCollateral, Reason, Settle
from keeper.model.reads import Address
from keeper.model.snapshot import VenueState
from keeper.model.units import ONE, ZERO, Wad
from tests.conformance.subject import Subject

REASON = Reason(text="test")
DAY_S = 86_400
YEAR_S = 31_536_000
SHORT_CALL_BASE = 2
NO_CASH = Balance(asset="sUSD", amount=ZERO)


def structs(lyra: Subject) -> dict[str, Any]:
    """The contract's own positions by account id: (id, strike id, type, amount, collateral, state)."""
    token = lyra.chains.lyra["OptionToken"]
    ids = list(range(1, token.call("nextId")))
    return {f"{lyra.venue.id}:{p[0]}": p for p in token.call("getOptionPositions", ids)}


def black_scholes(
    lyra: Subject, *, seconds: int, vol: Wad, spot: Wad, strike: Wad, rate: Wad
) -> dict[str, float]:
    """Ask the venue's pricing library. A library's selector hashes the name of its struct, not its types."""
    selector = keccak(text="pricesDeltaStdVega(BlackScholes.BlackScholesInputs)")[:4]
    inputs = encode(["(uint256,uint256,uint256,uint256,int256)"], [(seconds, vol, spot, strike, rate)])
    library = lyra.chains.lyra["BlackScholes"].address
    answer = lyra.node.call(library, "0x" + (selector + inputs).hex(), what="BlackScholes")
    types = ["uint256", "uint256", "int256", "int256", "uint256", "uint256"]
    names = ("call", "put", "call delta", "put delta", "vega", "std vega")
    return dict(zip(names, (v / ONE for v in decode(types, bytes.fromhex(answer[2:]))), strict=True))


def liquidation(account: Account) -> Liquidate:
    position = account.positions[0]
    return Liquidate(
        subject=account.id,
        reason=REASON,
        protocol=account.protocol,
        chain_id=account.chain_id,
        account=account.id,
        owner=account.owner,
        instrument=position.instrument,
        max_size=position.size,
        takes_over=False,
        reward_usd=ZERO,
        cost_usd=ZERO,
    )


def move(account: Account, amount: int, direction: Literal["add", "withdraw"] = "add") -> MoveCollateral:
    return MoveCollateral(
        subject=account.id,
        reason=REASON,
        protocol=account.protocol,
        chain_id=account.chain_id,
        account=account.id,
        owner=account.owner,
        asset=account.balances[0].asset,
        amount=Wad(amount),
        direction=direction,
    )


def settlement(state: VenueState, key: str) -> Settle:
    board = next(b for b in state.boards if b.key == key)
    return Settle(
        subject=board.venue,
        reason=REASON,
        protocol="lyra",
        chain_id=board.chain_id,
        board=board.key,
        board_settled=board.settled,
        accounts=board.open_positions,
    )


def held(lyra: Subject, owner: Address) -> dict[str, int]:
    """What a wallet holds, by symbol."""
    tokens = {"sUSD": "QuoteAsset", "sETH": "BaseAsset"}
    return {s: lyra.chains.lyra[c].call("balanceOf", owner) for s, c in tokens.items()}
