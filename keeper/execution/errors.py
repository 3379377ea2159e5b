"""Why something is not sent.

* TripwireError
  * HaltedError         a person, or a failed invariant, stopped all sending
  * ChainBehindError    the chain lacks transactions that we know as final
  * DroppedLandedError  a transaction that was given up has taken effect
  * LaneGapError        more nonces are missing below ours than we may fill
  * UnpromisedTransferError  what landed took a token out of a wallet of ours that its action did not name
* ConfigError
  * KeystoreError       no key can be had from keystore and password file
  * SignerMismatchError live without a signer, dry-run with one, or another one's address
  * OtherSignerError    the store holds open transactions that this keystore cannot replace
* DataError             the intent is dropped with this reason
  * NotAllowedError     not on the allow-list
  * LimitError          above a limit
  * BudgetError         gas costs more than the action is worth
  * MovedValueError     more value would be moved than a cap allows
  * UnvaluedError       what it moves has no trusted price
  * TokensShortError    the sender's wallet has less than it is to pay
  * WalletUnreadError   the sender's wallet was not read
  * LaneTakenError      a transaction is on its way that it may not, or cannot, take the nonce over from
  * UnknownVenueError   the plan names a venue that is not configured
  * UnpinnedChainError  the plan's snapshot has no block of the chain
  * PromiseRestError    its subject did not do what was promised, a moment ago
"""

from pathlib import Path

from keeper.model.errors import ConfigError, DataError, TripwireError
from keeper.model.reads import Address
from keeper.model.units import NO_WEI, Wad, Wei, to_float


class HaltedError(TripwireError):
    """Sending is stopped until a person resumes it."""

    reason: str

    def __init__(self, reason: str, by: str) -> None:
        super().__init__(f"halted by {by}: {reason}. Nothing is sent until `keeper resume`")
        self.reason = reason


class ChainBehindError(TripwireError):
    """The chain counts fewer transactions of our signer than we know as final."""

    chain_id: int
    counted: int
    known: int

    def __init__(self, chain_id: int, signer: Address, *, counted: int, known: int) -> None:
        super().__init__(
            f"chain {chain_id} counts {counted} transactions of {signer}, {known} are final in the store: "
            "the node is rolled back or serves another chain; correct it, or use a new store"
        )
        self.chain_id = chain_id
        self.counted = counted
        self.known = known


class DroppedLandedError(TripwireError):
    """A reorg gave effect to a transaction that was given up, so its decision may have been taken twice."""

    intent_id: str
    tx_hash: str

    def __init__(self, intent_id: str, tx_hash: str) -> None:
        super().__init__(
            f"transaction {tx_hash} of intent {intent_id[:12]} was given up and has landed after a reorg: "
            "check the accounts it touched"
        )
        self.intent_id = intent_id
        self.tx_hash = tx_hash


class LaneGapError(TripwireError):
    """Nonces below ours are unused, too many to be the trace of one lost transaction."""

    chain_id: int
    missing: int

    def __init__(self, chain_id: int, signer: Address, *, counted: int, lowest: int) -> None:
        super().__init__(
            f"chain {chain_id} counts {counted} transactions of {signer}, our lowest open nonce is {lowest}: "
            "the node is rolled back, or another program uses this key"
        )
        self.chain_id = chain_id
        self.missing = lowest - counted


class UnpromisedTransferError(TripwireError):
    """A transaction of ours took a token out of a wallet of ours that its action did not name."""

    intent_id: str
    tx_hash: str

    def __init__(self, intent_id: str, tx_hash: str, found: str) -> None:
        super().__init__(
            f"transaction {tx_hash} of intent {intent_id[:12]} moved what it did not promise: {found}. Check "
            "the contracts it called before `keeper resume`"
        )
        self.intent_id = intent_id
        self.tx_hash = tx_hash


class KeystoreError(ConfigError):
    """The signer's key cannot be had. The message never holds a secret."""

    path: Path

    def __init__(self, path: Path, problem: str) -> None:
        super().__init__(f"{path}: {problem}")
        self.path = path


class OtherSignerError(ConfigError):
    """Transactions of another signer, or on a chain that is not configured, are still open."""

    signer: Address
    chain_id: int

    def __init__(self, signer: Address, chain_id: int, count: int) -> None:
        super().__init__(
            f"the store holds {count} open transactions of {signer} on chain {chain_id}: run with that "
            "keystore and chain until they are mined or cancelled"
        )
        self.signer = signer
        self.chain_id = chain_id


class SignerMismatchError(ConfigError):
    """Live needs a signer, and dry-run must not hold one."""

    def __init__(self, problem: str) -> None:
        super().__init__(f"signer: {problem}")


class NotAllowedError(DataError):
    """A call that no configured venue's adapter declares."""

    chain_id: int
    to: Address
    selector: str

    def __init__(
        self, chain_id: int, to: Address, selector: str, problem: str = "is not on the allow-list"
    ) -> None:
        super().__init__(f"call {selector} to {to} on chain {chain_id} {problem}")
        self.chain_id = chain_id
        self.to = to
        self.selector = selector


class LimitError(DataError):
    """More than a limit of the configuration allows."""

    limit: str
    """Its key under [limits]."""

    wanted: int
    allowed: int

    def __init__(self, limit: str, *, wanted: int, allowed: int) -> None:
        super().__init__(f"limits.{limit} allows {allowed}, this needs {wanted}")
        self.limit = limit
        self.wanted = wanted
        self.allowed = allowed


class BudgetError(DataError):
    """Gas and layer-1 data at today's price cost more than this transaction may cost."""

    wanted: Wei
    """Both together."""

    l1_fee: Wei
    """The layer-1 part of `wanted`."""

    budget: Wei

    def __init__(self, *, wanted: Wei, budget: Wei, l1_fee: Wei = NO_WEI) -> None:
        parts = f" ({wanted - l1_fee} for execution, {l1_fee} for L1 data)" if l1_fee else ""
        super().__init__(f"gas costs at least {wanted} wei{parts}, the budget of this action is {budget} wei")
        self.wanted = wanted
        self.l1_fee = l1_fee
        self.budget = budget


class MovedValueError(DataError):
    """More value would be moved than a cap of the configuration allows."""

    limit: str
    """Its key under [limits]."""

    wanted: Wad
    """USD that the action moves, all its steps together."""

    used: Wad
    """USD of the cap that others use."""

    allowed: Wad

    def __init__(self, limit: str, *, wanted: Wad, used: Wad, allowed: Wad, urgent: bool) -> None:
        work = "urgent work" if urgent else "work that is not urgent"
        others = f", {to_float(used):,.2f} are used" if used else ""
        super().__init__(
            f"limits.{limit} allows {work} {to_float(allowed):,.2f} USD{others}: this moves "
            f"{to_float(wanted):,.2f}"
        )
        self.limit = limit
        self.wanted = wanted
        self.used = used
        self.allowed = allowed


class UnvaluedError(DataError):
    """What an action moves cannot be valued, so no cap can be held against it."""

    asset: str
    """Asset, native coin or instrument."""

    def __init__(self, asset: str) -> None:
        super().__init__(f"no trusted price of {asset}: what is moved cannot be held against the caps")
        self.asset = asset


class WalletUnreadError(DataError):
    """The snapshot does not say what the sender's wallet holds."""

    chain_id: int
    owner: Address
    asset: str

    def __init__(self, chain_id: int, owner: Address, asset: str) -> None:
        super().__init__(f"the {asset} in the wallet of {owner} on chain {chain_id} was not read")
        self.chain_id = chain_id
        self.owner = owner
        self.asset = asset


class TokensShortError(DataError):
    """The sender's wallet holds less than what is to leave it."""

    wanted: Wad
    held: Wad
    """In the snapshot."""

    gone: Wad
    """What has left the wallet since, or may still leave it."""

    def __init__(
        self, chain_id: int, owner: Address, asset: str, *, wanted: Wad, held: Wad, gone: Wad
    ) -> None:
        since = f", of which {to_float(gone):,.4f} are on their way or gone since" if gone else ""
        super().__init__(
            f"the wallet of {owner} on chain {chain_id} held {to_float(held):,.4f} {asset}{since}: "
            f"this takes {to_float(wanted):,.4f}"
        )
        self.wanted = wanted
        self.held = held
        self.gone = gone


class LaneTakenError(DataError):
    """The lane's transaction on its way keeps its nonce."""

    nonce: int | None

    def __init__(self, other: str, nonce: int | None, why: str = "") -> None:
        super().__init__(
            f"the lane is taken: {other} is on its way at nonce {nonce}{'; ' + why if why else ''}"
        )
        self.nonce = nonce


class UnknownVenueError(DataError):
    """The plan names a venue that is not configured here."""

    venue: str

    def __init__(self, venue: str) -> None:
        super().__init__(f"venue {venue} is not configured")
        self.venue = venue


class UnpinnedChainError(DataError):
    """The plan acts on a chain that its snapshot could not read."""

    chain_id: int

    def __init__(self, chain_id: int) -> None:
        super().__init__(f"chain {chain_id} has no block in the snapshot that the plan rests on")
        self.chain_id = chain_id


class PromiseRestError(DataError):
    """What was to be done to a subject did not come out as promised, and it is left alone for a while."""

    until_s: int
    """Chain time."""

    times: int
    """Broken promises in a row."""

    def __init__(self, *, until_s: int, times: int, why: str) -> None:
        text = "a broken promise" if times == 1 else f"{times} broken promises in a row"
        super().__init__(f"cooling down until {until_s} after {text}: {why}")
        self.until_s = until_s
        self.times = times
