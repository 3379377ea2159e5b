"""What one pool of endpoints says about blocks, accounts, prices and transactions, as typed values.

Whether it is believed is decided elsewhere: `client` asks several pools where a quorum is configured.
"""

from collections.abc import Mapping
from typing import Any, Final

from keeper.chain.errors import NodeRefused, NodeUnreachable, TagUnknown
from keeper.chain.pool import NodePool
from keeper.chain.pricing import FeeRules, next_base_fee, tip_of
from keeper.chain.refusals import tag_unknown, tag_without_block
from keeper.chain.scalars import count, hash_of, quantity
from keeper.chain.transactions import Fees, Receipt, price_of, receipt_of
from keeper.model.reads import Address
from keeper.model.snapshot import BlockRef
from keeper.model.units import Wei

_PRICED_BLOCKS: Final = 5
_WORD_BITS: Final = 256
_PRICE_BITS: Final = 128
"""A price of gas times all gas there is must still be a number of wei."""

_UNREADABLE: Final = (AttributeError, IndexError, KeyError, TypeError, ValueError)
"""What reading a malformed JSON answer raises."""


class Facts:
    """Asks one pool. Every method raises `NodeUnreachable`, `NodeRefused`, `AbiMismatch`.

    An endpoint whose answer is malformed rests: the next question goes to another one.
    """

    def __init__(self, pool: NodePool, chain_id: int, rules: FeeRules) -> None:
        self._pool = pool
        self._chain_id = chain_id
        self._rules = rules

    # Blocks

    def block(self, tag: str) -> BlockRef | None:
        """Return a block by tag or by hexadecimal number, None where the chain does not reach so far."""
        raw = self._pool.request("eth_getBlockByNumber", [tag, False])
        return None if raw is None else self._ref(raw)

    def latest(self) -> BlockRef:
        """Return the head."""
        block = self.block("latest")
        if block is None:
            raise NodeUnreachable(self._pool.current or "nobody", ("has no block",))
        return block

    def tagged(self, tag: str) -> BlockRef | None:
        """Return the block that `safe` or `finalized` names, None while there is none yet.

        An endpoint that does not know the tag is passed over where another one does, else `TagUnknown`.
        """
        try:
            raw = self._pool.request("eth_getBlockByNumber", [tag, False], elsewhere=tag_unknown)
        except NodeRefused as refusal:
            if tag_without_block(refusal):
                return None
            if tag_unknown(refusal):
                raise TagUnknown(refusal, tag) from None
            raise
        return None if raw is None else self._ref(raw)

    def _ref(self, raw: Mapping[str, Any]) -> BlockRef:
        try:
            return BlockRef(
                chain_id=self._chain_id,
                number=count(raw["number"]),
                hash=hash_of(raw["hash"]),
                parent_hash=hash_of(raw["parentHash"]),
                timestamp_s=count(raw["timestamp"]),
            )
        except _UNREADABLE:
            raise self._pool.malformed("eth_getBlockByNumber") from None

    # Accounts

    def native(self, address: Address) -> Wei:
        """Return what an address holds of the native coin at the head."""
        return Wei(self._pool.number("eth_getBalance", [address, "latest"], bits=_WORD_BITS))

    def code(self, address: Address) -> bytes:
        """Return the code at an address at the head, empty where there is none."""
        return self._pool.bytes_of("eth_getCode", [address, "latest"])

    def view(self, to: Address, data: str) -> bytes:
        """Return what a call answers at the head."""
        return self._pool.bytes_of("eth_call", [{"to": to, "data": data}, "latest"])

    def nonce(self, address: Address, tag: str) -> int:
        """Return the next nonce of an address."""
        return self._pool.number("eth_getTransactionCount", [address, tag])

    # Prices

    def fees(self) -> Fees:
        """Return what gas will cost in the next block.

        The tip is `pricing.tip_of` the latest blocks. Where they were empty or took none, which does not say
        what a node asks for at least, or where there is no such history, it is what the node suggests. A
        chain without base fees has one price, the node's own.
        """
        header = self._pool.request("eth_getBlockByNumber", ["latest", False])
        try:
            base = next_base_fee(header, self._rules.base_fees)
        except _UNREADABLE:
            raise self._pool.malformed("eth_getBlockByNumber") from None
        if base is None:
            price = self._price()
            return Fees(base_fee_wei=0, priority_fee_wei=price, legacy_gas_price_wei=price)
        tip = self._rules.bounded(self._tip(quantity(header["baseFeePerGas"])))
        return Fees(base_fee_wei=base, priority_fee_wei=tip, legacy_gas_price_wei=None)

    def price(self, at: BlockRef) -> Wei:
        """Return what a unit of gas cost around a block; see `ChainClient.gas_price`."""
        try:
            return price_of(self._pool.request("eth_feeHistory", [hex(_PRICED_BLOCKS), hex(at.number), [50]]))
        except (NodeRefused, *_UNREADABLE):
            return Wei(self._price())

    def _tip(self, base_fee: int) -> int:
        asked = [hex(self._rules.blocks), "latest", [self._rules.percentile]]
        try:
            tip = tip_of(self._pool.request("eth_feeHistory", asked))
        except (NodeRefused, *_UNREADABLE):
            tip = None
        if tip:
            return tip
        try:
            return self._pool.number("eth_maxPriorityFeePerGas", [], bits=_PRICE_BITS)
        except NodeRefused:
            return max(0, self._price() - base_fee)

    def _price(self) -> int:
        return self._pool.number("eth_gasPrice", [], bits=_PRICE_BITS)

    # Transactions

    def receipt(self, tx_hash: str) -> Receipt | None:
        """Return the receipt of a mined transaction, else None."""
        raw = self._pool.request("eth_getTransactionReceipt", [tx_hash])
        try:
            if raw is None or raw["blockNumber"] is None:
                return None
            _require_own(raw["transactionHash"], tx_hash)
            if raw.get("effectiveGasPrice") is None:
                # Nodes of before EIP-1559 leave it out, and a price of nothing would pass every cap.
                raw = {**raw, "effectiveGasPrice": self._transaction(tx_hash)["gasPrice"]}
            return receipt_of(raw)
        except _UNREADABLE:
            raise self._pool.malformed("eth_getTransactionReceipt") from None

    def knows(self, tx_hash: str) -> bool:
        """Whether the node has the transaction, mined or waiting."""
        try:
            raw = self._transaction(tx_hash)
            if raw is not None:
                _require_own(raw["hash"], tx_hash)
            return raw is not None
        except _UNREADABLE:
            raise self._pool.malformed("eth_getTransactionByHash") from None

    def _transaction(self, tx_hash: str) -> Any:
        return self._pool.request("eth_getTransactionByHash", [tx_hash])


def _require_own(found: str, tx_hash: str) -> None:
    if hash_of(found).lower() != tx_hash.lower():
        raise ValueError("it is another transaction's")
