"""A venue of one contract that counts how often each decision took effect, and an adapter that rings it.

Decision n is the action `MoveCollateral` with amount n. It calls `approve(spender, n)`, because that is a
function every build has the ABI of; the contract then adds one to its storage slot n. So slot n is the number
of times that decision n took effect, and `balanceOf(n)` reads it. While slot 0 is not zero, it reverts.

A decision from `TWO_STEPS` on takes two calls, n and n + `TWO_STEPS`. As with an approval, the first is left
out where it has been made before; the call that matters never is.
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar, Final

from eth_account import Account

from keeper.chain import abi
from keeper.model.book import Balance, LiquidationMode, SettlementMode, Wallet
from keeper.model.plan import ActionKind, Hedge, MoveCollateral, Plan, Reason, TxAction
from keeper.model.promise import Figure, Promise, Term
from keeper.model.reads import Address, Call, Reads, Send
from keeper.model.snapshot import BlockRef, Snapshot, VenueState
from keeper.model.units import Wad
from keeper.model.venue import Venue
from keeper.protocols.adapter import Finding, Found, Meaning, Survey
from keeper.protocols.errors import UnencodableActionError
from keeper.protocols.tokens import ERC20

BELL: Final = Address("0xbE11000000000000000000000000000000000001")
SPENDER: Final = Address("0x5e5e000000000000000000000000000000000002")
RUNTIME: Final = (
    "0x"
    + "36602414601b57"
    + "5f54601757"
    + "602435805460010190"
    + "5500"
    + "5b5f5ffd"
    + "5b600435545f5260205ff3"
)
"""if (one argument) return slot[arg0]; if (slot[0] != 0) revert(); slot[arg1] += 1;"""

UNWILLING: Final = 666
"""The adapter refuses to encode this decision."""

TWO_STEPS: Final = 1000

HOLDERS: Final = (
    Address("0x51000000000000000000000000000000000000AA"),
    *(Address(Account.from_key("0x" + digit * 32).address) for digit in ("6c", "4b")),
)
"""Whose wallets every snapshot knows: the signers of the tests here."""

PLENTY: Final = Wad(10**36)


class Bell:
    """An adapter like any other, for a protocol that only counts."""

    name: ClassVar[str] = "bell"
    liquidation_mode: ClassVar[LiquidationMode] = LiquidationMode.NONE
    settlement_mode: ClassVar[SettlementMode] = SettlementMode.SYNC
    contracts: ClassVar[frozenset[str]] = frozenset({"Bell", "Spender"})
    actions: ClassVar[frozenset[ActionKind]] = frozenset({ActionKind.MOVE_COLLATERAL, ActionKind.HEDGE})
    sends: ClassVar[frozenset[tuple[str, str]]] = frozenset({(ERC20, "approve")})
    abis: ClassVar[tuple[str, ...]] = (ERC20,)

    def check(self, venue: Venue) -> Reads[tuple[Finding, ...]]:
        yield []
        return ()

    def discover(self, venue: Venue, known: Found, at: BlockRef) -> Reads[Found]:
        yield []
        return known

    def read(self, venue: Venue, found: Found, wallets: Sequence[Address], at: BlockRef) -> Reads[VenueState]:
        yield []
        return VenueState(accounts=(), instruments=(), quotes=())

    def survey(self, venue: Venue, known: Found, probes: Sequence[str], at: BlockRef) -> Reads[Survey]:
        yield []
        state = VenueState(accounts=(), instruments=(), quotes=())
        return Survey(state=state, found=known, touched=frozenset())

    def encode(self, venue: Venue, action: TxAction, sender: Address) -> Reads[tuple[Send, ...]]:
        assert isinstance(action, MoveCollateral | Hedge)
        wanted = action.amount if isinstance(action, MoveCollateral) else action.size
        bell = venue.address("Bell")
        (made,) = yield [Call(ERC20, bell, "balanceOf", (f"0x{wanted:040x}",))]
        if wanted == UNWILLING:
            raise UnencodableActionError(venue.id, action.kind, "it is unwilling")
        numbers = [wanted] if wanted < TWO_STEPS or not made else []
        if wanted >= TWO_STEPS:
            numbers.append(Wad(wanted + TWO_STEPS))
        spender = venue.address("Spender")
        return tuple(Send(ERC20, bell, "approve", (spender, number)) for number in numbers)

    def promise(self, venue: Venue, action: TxAction, sender: Address) -> Reads[Promise]:
        """Each number that is left is counted once more."""
        sends = yield from self.encode(venue, action, sender)
        return Promise(
            figures=tuple(
                Figure(
                    name=f"count of {number}",
                    terms=(Term(read=Call(ERC20, send.to, "balanceOf", (f"0x{number:040x}",))),),
                    unit="",
                    decimals=0,
                    least=1,
                    most=1,
                )
                for send in sends
                for number in (int(str(send.args[1])),)
            ),
            holders=(sender,),
        )

    def meaning(self, error: str, args: Mapping[str, object]) -> Meaning | None:
        return None


def bell_venue(chain_id: int, *, bell: Address = BELL) -> Venue:
    return Venue(
        protocol="bell",
        chain_id=chain_id,
        contracts=(("Bell", bell), ("Spender", SPENDER)),
        from_block=0,
    )


def decision(number: int, chain_id: int) -> MoveCollateral:
    return MoveCollateral(
        subject=f"bell:{chain_id}:{number}",
        reason=Reason(text="a test asks for it"),
        protocol="bell",
        chain_id=chain_id,
        account=f"bell:{chain_id}:{number}",
        owner=SPENDER,
        asset="BELL",
        amount=Wad(number),
        direction="add",
    )


def hedging(number: int, chain_id: int, *, counts_on: tuple[str, ...]) -> Hedge:
    """The same call as `decision(number)`, as a hedge."""
    return Hedge(
        subject="desk/BELL",
        reason=Reason(text="a test asks for it"),
        protocol="bell",
        chain_id=chain_id,
        account=f"bell:{chain_id}:0",
        owner=SPENDER,
        instrument=f"bell:{chain_id}:0",
        size=Wad(number),
        limit_price=Wad(1),
        deadline_s=0,
        counts_on=counts_on,
    )


def call_of(number: int, chain_id: int) -> str:
    """Calldata of the first call of a decision."""
    return abi.encode(Send(ERC20, BELL, "approve", (bell_venue(chain_id).address("Spender"), number)))


def seen(blocks: Sequence[BlockRef], *, held: Wad = PLENTY) -> Snapshot:
    """A snapshot that knows nothing but the blocks, and how many bells, a dollar each, all `HOLDERS` hold."""
    return Snapshot(
        blocks=tuple(blocks),
        accounts=(),
        instruments=(),
        quotes=(),
        wallets=tuple(
            Wallet(
                owner=owner,
                chain_id=block.chain_id,
                native=Wad(10**20),
                balances=(Balance(asset="BELL", amount=held),),
            )
            for block in blocks
            for owner in HOLDERS
        ),
    )


def plan_of(numbers: Sequence[int], chain_id: int, snapshot: Snapshot) -> Plan:
    return Plan(
        snapshot_digest=snapshot.digest,
        params_digest="0" * 64,
        decisions=(),
        actions=tuple(decision(number, chain_id) for number in numbers),
    )
