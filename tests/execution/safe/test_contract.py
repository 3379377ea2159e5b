"""What is read of a Safe: whole or not at all; and its hash and its trials, by the contracts themselves."""

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from keeper.chain.abi import load
from keeper.chain.client import ChainClient
from keeper.chain.multicall import Result, frame, unframe
from keeper.devnet.deployment import OPTIMISM
from keeper.execution.safe.contract import SAFE, SafeState, read_hash, read_state, refusal, trial
from keeper.execution.safe.errors import NotASafeError, SafeUnreadError, UnsupportedVersionError
from keeper.execution.safe.multisend import SUPPORTED, Part, multi_send
from keeper.execution.safe.transaction import Operation, SafeTx, hashes
from keeper.model.reads import Address, Failed, Reads, T
from tests.execution.safe.test_transaction import safe_txs
from tests.support.chains import Chains
from tests.support.safe import Safes
from tests.support.safe_house import KEYS

ADDRESS = Address("0x" + "11" * 20)
OWNERS = tuple(KEYS)
WORD = bytes(12) + b"\x33" * 20
FINE: dict[str, Any] = {
    "VERSION": "1.4.1",
    "nonce": 7,
    "getThreshold": 2,
    "getOwners": list(OWNERS),
    "singleton": WORD,
    "guard": bytes(32),
}


def answered(**changes: Any) -> SafeState:
    """Read a Safe that answers so."""
    reads = read_state(ADDRESS, chain="optimism", chain_id=10)
    asked = next(reads)
    names = ["singleton" if c.args == (0, 1) else "guard" if c.args else c.fn for c in asked]  # type: ignore[union-attr]
    answers = FINE | changes
    return finished(reads, [answers[name] for name in names])


def finished(reads: Reads[T], answers: list[Any]) -> T:
    try:
        reads.send(answers)
    except StopIteration as done:
        found: T = done.value
        return found
    raise AssertionError("it asks again")


def test_a_safe_is_read_whole() -> None:
    state = answered()
    assert (state.version, state.nonce, state.threshold, state.owners) == ("1.4.1", 7, 2, OWNERS)
    assert state.singleton == Address("0x" + "33" * 20)
    assert state.guard is None
    assert answered(guard=WORD).guard == Address("0x" + "33" * 20)


@pytest.mark.parametrize("name", ["nonce", "getThreshold", "getOwners", "singleton", "guard"])
def test_a_part_that_is_not_read_is_never_a_zero(name: str) -> None:
    with pytest.raises(SafeUnreadError, match="nobody there"):
        answered(**{name: Failed(name, "nobody there")})


@pytest.mark.parametrize(("threshold", "owners"), [(0, OWNERS), (3, OWNERS), (1, ())])
def test_what_cannot_be_is_not_believed(threshold: int, owners: tuple[Address, ...]) -> None:
    with pytest.raises(SafeUnreadError, match="cannot be"):
        answered(getThreshold=threshold, getOwners=list(owners))


def test_a_storage_answer_of_another_size_is_not_believed() -> None:
    with pytest.raises(SafeUnreadError, match="32 bytes"):
        answered(guard=b"")


def test_what_has_no_version_is_no_safe() -> None:
    with pytest.raises(NotASafeError, match=r"is no Safe: it has no VERSION\(\) \(reverted\)"):
        answered(VERSION=Failed("VERSION", "reverted", benign=True))


@pytest.mark.parametrize("version", ["1.2.0", "1.1.1", "2.0.0", "", "1.4", "x" * 500])
def test_a_version_that_is_not_known_is_refused(version: str) -> None:
    with pytest.raises(UnsupportedVersionError, match=r"a Safe of 1\.3\.0, 1\.4\.1, 1\.5\.0") as info:
        answered(VERSION=version)
    assert len(str(info.value)) < 300


def test_a_variant_is_the_version_that_it_is_one_of() -> None:
    assert answered(VERSION="1.3.0+L2").version == "1.3.0"


@pytest.mark.parametrize("result", [Result(True, bytes(64)), Result(False, b""), Result(False, bytes(63))])
def test_a_trial_without_an_outcome_is_none(result: Result) -> None:
    with pytest.raises(SafeUnreadError, match="did not tell an outcome"):
        refusal(ADDRESS, result, ())


def test_a_hash_that_is_not_answered_is_not_assumed() -> None:
    reads = read_hash(ADDRESS, SafeTx(to=ADDRESS, data="0x", nonce=0))
    next(reads)
    with pytest.raises(SafeUnreadError, match="getTransactionHash was not answered"):
        finished(reads, [Failed("getTransactionHash", "reverted")])


def test_the_abi_cannot_execute() -> None:
    changing = {entry.name for entry in load(SAFE).functions.values() if entry.changes_state}
    assert changing == {"simulateAndRevert"}


# By the contracts themselves


@pytest.fixture
def client(chains: Chains) -> Iterator[ChainClient]:
    found = ChainClient.connect(name=OPTIMISM, chain_id=10, endpoints=[chains.url(OPTIMISM)])
    yield found
    found.close()


@pytest.mark.devnet
@pytest.mark.parametrize("version", SUPPORTED)
def test_a_new_safe_is_what_it_was_created_as(chains: Chains, client: ChainClient, version: str) -> None:
    safes = Safes(chains.node(OPTIMISM), version)
    safe = safes.create(OWNERS, 2).address
    state = client.run(read_state(safe, chain=OPTIMISM, chain_id=10), client.head())
    assert (state.version, state.nonce, state.threshold) == (version, 0, 2)
    assert state.owners == OWNERS
    assert state.singleton == safes.singleton.address
    assert state.guard is None


@pytest.mark.devnet
@pytest.mark.parametrize("version", SUPPORTED)
def test_the_contract_hashes_as_we_do(chains: Chains, client: ChainClient, version: str) -> None:
    safe = Safes(chains.node(OPTIMISM), version).create(OWNERS, 2).address
    head = client.head()

    @settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(safe_txs)
    def agree(tx: SafeTx) -> None:
        assert client.run(read_hash(safe, tx), head) == hashes(tx, safe=safe, chain_id=10).safe_tx

    agree()


@pytest.mark.devnet
@pytest.mark.parametrize("version", SUPPORTED)
def test_a_trial_tells_the_outcome_and_undoes_it(chains: Chains, client: ChainClient, version: str) -> None:
    """The Safe moves tokens of its own as a batch would, and has them all the same afterwards."""
    safes, quote = Safes(chains.node(OPTIMISM), version), chains.lyra["QuoteAsset"]
    safe = safes.create(OWNERS, 2).address
    quote.send("mint", safe, 100)

    def tried(*amounts: int) -> str:
        parts = [Part(to=quote.address, data=quote.data("transfer", ADDRESS, amount)) for amount in amounts]
        tx = SafeTx(
            to=safes.multi_send.address,
            data=multi_send(parts),
            operation=Operation.DELEGATECALL,
            nonce=0,
        )
        ((_, answer),) = client.views(client.multicall, frame([trial(safe, tx)]))
        (result,) = unframe(answer, 1)
        return refusal(safe, result, ())

    assert tried(60, 40) == ""
    assert tried(60, 41) != ""
    assert quote.call("balanceOf", safe) == 100
    assert quote.call("balanceOf", ADDRESS) == 0
