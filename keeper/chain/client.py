"""One chain, as the rest of the keeper sees it: pinned reads, simulations, the fate of transactions."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, TypeVar, Unpack

from eth_utils.crypto import keccak

from keeper.chain.abi import Revert
from keeper.chain.endpoint import Endpoint
from keeper.chain.errors import MulticallMissing, NodeRefused, NodeUnreachable
from keeper.chain.multicall import GET_CHAIN_ID, MULTICALL3
from keeper.chain.pool import MAX_HEAD_AGE_S, MAX_LAG_BLOCKS, NodePool
from keeper.chain.present import Present
from keeper.chain.pricing import FeeRules
from keeper.chain.private import Private
from keeper.chain.quorum import Quorum
from keeper.chain.reader import Reader, Reading
from keeper.chain.refusals import most_telling, not_taken, reverted
from keeper.chain.settings import ClientSettings, Finality, GasBy, PinAt
from keeper.chain.simulation import Explain, Rehearsal, Simulator
from keeper.chain.standstill import Standstill
from keeper.chain.transactions import Fees, Receipt, Tx
from keeper.model.errors import DataError
from keeper.model.intent import Simulation
from keeper.model.reads import Address, Call, Read, Reads
from keeper.model.snapshot import BlockRef
from keeper.model.units import NO_WEI, Wei

T = TypeVar("T")


class ChainClient:
    """Speaks to the nodes of one chain. One caller at a time per instance; chains run side by side."""

    chain_id: int
    name: str
    multicall: Address
    confirmations: int

    def __init__(self, **settings: Unpack[ClientSettings]) -> None:
        """Prepare the client; no request is made. Raises `EndpointUnfit` for a URL that is none."""
        name, chain_id = settings["name"], settings["chain_id"]
        timeout_s = settings.get("timeout_s", 20.0)
        max_head_age_s = settings.get("max_head_age_s", MAX_HEAD_AGE_S)
        max_lag_blocks = settings.get("max_lag_blocks", MAX_LAG_BLOCKS)
        self.chain_id = chain_id
        self.name = name
        self.multicall = settings.get("multicall", MULTICALL3)
        self.confirmations = settings.get("confirmations", 0)
        self._pin_at = settings.get("pin_at", PinAt.LATEST)
        reading = Reading(
            name=name,
            chain_id=chain_id,
            multicall=self.multicall,
            call_gas=settings.get("call_gas", 50_000_000),
            gas_by=settings.get("gas_by", GasBy.ESTIMATE),
            log_blocks=settings.get("log_blocks", 10_000),
            fees=settings.get("fees", FeeRules()),
        )

        def pool(urls: Sequence[str]) -> NodePool:
            return NodePool(
                name,
                chain_id,
                [Endpoint(url, timeout_s=timeout_s) for url in urls],
                timeout_s=timeout_s,
                max_lag_blocks=max_lag_blocks,
                max_head_age_s=max_head_age_s,
            )

        self._pool = pool(settings["endpoints"])
        self._reader = Reader(self._pool, reading)
        self._pinned, self._simulator = self._reader.pinned, self._reader.simulator
        self._facts = self._reader.facts
        others = settings.get("quorum", 1) - 1
        witnesses = [Reader(pool([url]), reading) for url in settings["endpoints"]] if others else []
        self._quorum = Quorum(name, witnesses, others) if others else None
        private = settings.get("private_endpoint", "")
        self._private = Private(
            pool([private]) if private else None,
            blocks=settings.get("private_blocks", 25),
            only=settings.get("private_only", False),
        )
        self._standstill = Standstill(max_head_age_s)
        self._present = Present(
            self._pool,
            self._facts,
            self._quorum,
            self._standstill,
            name=name,
            finality=settings.get("finality", Finality.CONFIRMATIONS),
            finality_fallback=settings.get("finality_fallback", False),
            max_lag_blocks=max_lag_blocks,
        )

    @classmethod
    def connect(cls, **settings: Unpack[ClientSettings]) -> "ChainClient":
        """Return a client whose endpoints were asked for their chain id, and Multicall3 for an answer.

        Raises `WrongChain`, `MulticallMissing`, `EndpointUnfit`, and `FinalityUnknown` where a block tag is
        configured that nobody knows; `NodeUnreachable` when nobody answers.
        """
        client = cls(**settings)
        client.verify()
        return client

    def verify(self) -> None:
        """Ask every endpoint for its chain id, and Multicall3 for an answer. Raises as `connect` does."""
        self._pool.connect()
        self._private.verify()
        call = {"to": self.multicall, "data": "0x" + GET_CHAIN_ID.hex(), "gas": hex(100_000)}
        try:
            answer = self._pool.bytes_of("eth_call", [call, "latest"])
            self._present.require_tags(self._pin_at)
        except DataError as problem:
            if not isinstance(problem, NodeRefused) or not reverted(problem):
                # It says nothing of the configuration, and may be over in a moment.
                raise NodeUnreachable(self.name, (str(problem),)) from None
            answer = b""
        if answer != self.chain_id.to_bytes(32, "big"):
            raise MulticallMissing(self.name, self.chain_id, self.multicall)

    def close(self) -> None:
        """Close all connections."""
        self._pool.close()
        self._private.close()
        if self._quorum is not None:
            self._quorum.close()

    @property
    def requests(self) -> int:
        """HTTP requests made so far."""
        return self._pool.requests + (self._quorum.requests if self._quorum else 0)

    @property
    def hosts(self) -> tuple[str, ...]:
        """Scheme and host of every endpoint, in order of preference."""
        return self._pool.hosts

    # Blocks

    def head(self) -> BlockRef:
        """Return the latest block. Raises `NodeUnreachable`; see `present.Present.head` for a quorum."""
        return self._present.head()

    def block(self, number: int) -> BlockRef | None:
        """Return a block of the chain, None where the chain does not reach so far."""
        return self._facts.block(hex(number))

    def pin(self) -> BlockRef:
        """Return the block that a cycle reads at: `confirmations` below `pin_at`, or the first block.

        Endpoints that lag their peers are set aside before. Raises `NodeUnreachable`, `TagUnknown`.
        """
        self.set_laggards_aside()
        return self._present.pinned(self._pin_at, self.confirmations)

    def final_number(self, head: BlockRef, after_blocks: int) -> int:
        """Return the number up to which blocks count as final; see `present.Present.final_number`."""
        return self._present.final_number(head, after_blocks)

    def canonical(self, number: int, block_hash: str) -> bool:
        """Whether a block is on the chain. Raises `NodeUnreachable`."""
        return self._present.canonical(number, block_hash)

    def set_laggards_aside(self) -> None:
        """Leave endpoints that lag or stand still while others go on; take back those that caught up."""
        self._pool.set_laggards_aside()

    def require_canonical(self, at: BlockRef) -> None:
        """Raise `PinnedBlockGone` unless `at` is still on the chain."""
        self._pinned.require_canonical(at)

    # Reads

    def run(self, reads: Reads[T], at: BlockRef) -> T:
        """Drive a generator of reads to its end, every list of reads answered at block `at`.

        The block is proven to be on the chain still once all is read, and with a quorum all answers are those
        of several endpoints. Raises what the generator raises, `PinnedBlockGone`, `NodeUnreachable`,
        `QuorumMissing`, `EndpointsDisagree`, `MulticallMissing`, `AbiMissing`.
        """
        (result,) = self.run_all([reads], at)
        if isinstance(result, DataError):
            raise result
        return result

    def run_all(self, generators: Sequence[Reads[T]], at: BlockRef) -> list[T | DataError]:
        """Drive several generators side by side, each round of all of them in shared multicalls.

        One that raises a `DataError` ends alone: the error takes the place of its result.
        Raises as `run` does, otherwise.
        """
        results: list[T | DataError | None] = [None] * len(generators)
        sent: dict[int, Sequence[Any] | None] = dict.fromkeys(range(len(generators)))
        try:
            while sent:
                asked: dict[int, Sequence[Read]] = {}
                for i, answers in sent.items():
                    try:
                        # None starts a generator, as next() does.
                        asked[i] = generators[i].send(answers)  # type: ignore[arg-type]
                    except StopIteration as done:
                        results[i] = done.value
                    except DataError as problem:
                        results[i] = problem
                flat = self._read([read for reads in asked.values() for read in reads], at)
                sent = {}
                for i, reads in asked.items():
                    sent[i], flat = flat[: len(reads)], flat[len(reads) :]
            self._pinned.require_canonical(at)
            if self._quorum is not None:
                self._quorum.settle()
        finally:
            for generator in generators:
                generator.close()
            if self._quorum is not None:
                self._quorum.forget()
        return results  # type: ignore[return-value]

    def answer(self, reads: Sequence[Read], at: BlockRef) -> list[Any]:
        """Answer one list of reads at block `at`, by one endpoint. Raises as `run` does."""
        return self._reader.answer(reads, at)

    def _read(self, reads: Sequence[Read], at: BlockRef) -> list[Any]:
        """Answer one list of reads, and put it to the other endpoints of a quorum."""
        self._pool.answered.clear()
        answers = self.answer(reads, at)
        if self._quorum is not None:
            self._quorum.note(reads, at, list(answers), self._pool.answered)
        return answers

    def native(self, address: Address) -> Wei:
        """Return what an address holds of the native coin at the head."""
        return self._facts.native(address)

    def code(self, address: Address) -> bytes:
        """Return the code at an address at the head, empty where there is none."""
        return self._facts.code(address)

    def views(self, to: Address, data: str) -> list[tuple[str, bytes]]:
        """Return what a call answers at the head, by host: one answer, or as many as the quorum.

        Raises `NodeUnreachable`, `NodeRefused`, `AbiMismatch`.
        """
        return self._present.views(to, data)

    def gas_price(self, at: BlockRef) -> Wei:
        """Return what a unit of gas cost around block `at`, a function of the chain up to it only.

        See `transactions.price_of`. On a chain without a fee history, the node's own price now.
        Raises `NodeUnreachable`, `NodeRefused`.
        """
        return self._facts.price(at)

    # Transactions

    def simulate(
        self,
        *,
        sender: Address,
        to: Address,
        data: str,
        value: Wei = NO_WEI,
        abis: Sequence[str] = (),
        explain: Explain | None = None,
    ) -> Simulation:
        """Run a transaction at the head, then estimate its gas.

        `explain` is `Adapter.meaning`: it words the revert and says whether it is benign.
        Raises `NodeUnreachable`.
        """
        tx = Tx(to=to, data=data, value=value, abis=tuple(abis))
        (found,) = self.simulate_bundle(sender, [tx], explain)
        return found

    def simulate_bundle(
        self, sender: Address, txs: Sequence[Tx], explain: Explain | None = None
    ) -> tuple[Simulation, ...]:
        """Run transactions of one sender in a row at the head: an approval, then what needs it.

        See `simulation.Simulator.bundle` for nodes that cannot. With a quorum, one that other endpoints would
        not take fails; so does all on a chain that stands still. Raises `NodeUnreachable`.
        """
        self._pool.answered.clear()
        found = self._standstill.hold(self._simulator.bundle(sender, txs, explain))
        if self._quorum is None:
            return found
        return self._quorum.simulate(sender, txs, explain, found, self._pool.answered)

    def rehearse(
        self, sender: Address, txs: Sequence[Tx], reads: Sequence[Call], explain: Explain | None = None
    ) -> Rehearsal:
        """Run calls of one sender at the head, with `reads` answered before the first and after the last.

        See `simulation.Simulator.rehearse` for nodes that cannot, and `simulate_bundle` for the rest.
        """

        def run(simulator: Simulator) -> Rehearsal:
            return simulator.rehearse(sender, txs, reads, explain)

        self._pool.answered.clear()
        own = run(self._simulator)
        own = replace(own, simulations=self._standstill.hold(own.simulations))
        return own if self._quorum is None else self._quorum.rehearse(run, own, self._pool.answered)

    def attempt(
        self, *, sender: Address, to: Address, data: str, value: Wei = NO_WEI, abis: Sequence[str] = ()
    ) -> Revert | None:
        """Run a transaction as a call at the head; return its revert, or None when it succeeds.

        Raises `NodeUnreachable`, and `NodeRefused` when the node would not run it.
        """
        return self._simulator.attempt(sender, Tx(to=to, data=data, value=value, abis=tuple(abis)))

    def revert_reason(
        self,
        *,
        sender: Address,
        to: Address,
        data: str,
        value: Wei,
        block_number: int,
        abis: Sequence[str],
    ) -> str:
        """Return why a transaction mined in `block_number` reverted, by running it on the block before.

        Empty when it succeeds there: what came before it in its own block made the difference.
        """
        tx = Tx(to=to, data=data, value=value, abis=tuple(abis))
        return self._simulator.revert_reason(sender, tx, block_number)

    def nonce(self, address: Address, tag: str = "latest") -> int:
        """Return the next nonce of an address: `latest` counts what is mined, `pending` what waits too."""
        return self._present.nonce(address, tag)

    def fees(self) -> Fees:
        """Return what gas will cost in the next block. Raises `NodeUnreachable`, `NodeRefused`."""
        return self._present.fees()

    def broadcast(self, raw: bytes | str) -> str:
        """Hand a signed transaction to the private endpoint or to all others at once; return its hash.

        The same bytes may be handed over again and again. Raises a `BroadcastRefused` that says why, and
        `NodeUnreachable`: then it is not known whether a node has it.
        """
        signed = bytes.fromhex(raw.removeprefix("0x")) if isinstance(raw, str) else raw
        refusals = self._way(signed).broadcast("0x" + signed.hex())
        if refusals:
            raise most_telling([not_taken(refusal) for refusal in refusals])
        return "0x" + keccak(signed).hex()

    def _way(self, signed: bytes) -> NodePool:
        """Return who is to have a transaction."""
        if not self._private.configured:
            return self._pool
        return self._private.way(signed, self._present.told_head().number) or self._pool

    def receipt(self, tx_hash: str) -> Receipt | None:
        """Return the receipt of a mined transaction, else None."""
        return self._present.receipt(tx_hash)

    def transaction_known(self, tx_hash: str) -> bool:
        """Whether the node has the transaction, mined or waiting."""
        return self._facts.knows(tx_hash)
