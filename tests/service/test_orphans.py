"""A cycle that rested on an orphan is marked in its journal, on a real node and through restarts."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import pytest

from keeper.chain.client import ChainClient
from keeper.cli.replay_view import replay_document, replay_view
from keeper.cli.why_view import why_document, why_view
from keeper.devnet import anvil
from keeper.devnet.node import Node
from keeper.journal.journal import Journal, read
from keeper.journal.verify import verify
from keeper.model.intent import Outcome, TxState
from keeper.model.params import Params
from keeper.model.record import Orphaned, RecordKind
from keeper.model.snapshot import BlockRef, Snapshot
from keeper.policy.decide import decide
from keeper.replay.replay import replay
from keeper.service.orphans import OrphanWatch
from keeper.service.record import JournaledCycle
from keeper.service.why import TOLD_BY, why
from tests.execution.bell import BELL, TWO_STEPS
from tests.execution.rig import Rig
from tests.execution.simulated_chain import SimulatedChain
from tests.support import books
from tests.support.rpc_proxy import RpcProxy, dropped

CHAIN_ID: Final = 31_337
FINAL_AFTER: Final = 8
PARAMS: Final[Params] = books.params()


class Keeper:
    """Journaled cycles over one node, without a policy that acts."""

    def __init__(self, folder: Path, client: ChainClient) -> None:
        self.path = folder / "journal.jsonl"
        self.client = client
        self.dropped: list[dict[str, str]] = []
        self._open = ExitStack()
        self.cycles = 0
        self.start()

    def start(self) -> None:
        journal = self._open.enter_context(Journal.open(self.path))
        self.watch = OrphanWatch(
            JournaledCycle(journal, PARAMS),
            journal,
            {CHAIN_ID: self.client},
            {CHAIN_ID: FINAL_AFTER},
            lambda _cycle, _time, reasons: self.dropped.append(dict(reasons)),
        )

    def stop(self) -> None:
        self._open.close()

    def restart(self) -> None:
        self.stop()
        self.start()

    def cycle(self) -> BlockRef:
        """See the head, decide, record."""
        block = self.client.pin()
        snapshot = books.snapshot([books.lyra_short()], spot=1_800.0 + self.cycles)
        seen = Snapshot(**{**fields_of(snapshot), "blocks": (block,)})
        name = f"{block.timestamp_s}-{self.cycles}"
        self.cycles += 1
        self.watch.decided(name, seen, decide(seen, PARAMS))
        self.watch.done(name, seen, ())
        return block

    def orphaned(self) -> list[tuple[str, int]]:
        """Cycle and block of every mark."""
        records = read(self.path, (RecordKind.ORPHANED,))
        return [(record.cycle_id, int(record.body["number"])) for record in records]


def fields_of(snapshot: Snapshot) -> dict[str, Any]:
    return {name: getattr(snapshot, name) for name in type(snapshot).__dataclass_fields__}


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    with anvil.running(CHAIN_ID, log=tmp_path_factory.mktemp("orphans") / "anvil.log") as running:
        running.node.rpc("anvil_mine", hex(10))
        yield running.node


@pytest.fixture
def node(shared: Node) -> Iterator[Node]:
    kept = shared.snapshot()
    yield shared
    shared.revert(kept)


@pytest.fixture
def keeper(tmp_path: Path, node: Node) -> Iterator[Keeper]:
    client = ChainClient(name="local", chain_id=CHAIN_ID, endpoints=[node.url])
    keeper = Keeper(tmp_path, client)
    yield keeper
    keeper.stop()
    client.close()


@pytest.mark.devnet
@pytest.mark.parametrize("depth", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("restarted", [False, True])
def test_a_reorg_marks_the_cycles_above_it(keeper: Keeper, node: Node, depth: int, restarted: bool) -> None:
    blocks = []
    for _ in range(7):
        node.rpc("evm_mine")
        blocks.append(keeper.cycle())
    assert keeper.orphaned() == []
    node.rpc("anvil_reorg", depth, [])
    if restarted:
        keeper.restart()
    keeper.cycle()
    gone = blocks[-depth:]
    names = [f"{block.timestamp_s}-{7 - depth + i}" for i, block in enumerate(gone)]
    assert keeper.orphaned() == [(name, block.number) for name, block in zip(names, gone, strict=True)]
    assert list(keeper.dropped[0]) == names
    keeper.cycle()
    keeper.restart()
    node.rpc("evm_mine")
    keeper.cycle()
    assert len(keeper.orphaned()) == depth, "once each"
    assert verify(keeper.path).ok


@pytest.mark.devnet
def test_a_node_that_does_not_answer_is_asked_again(tmp_path: Path, node: Node) -> None:
    with RpcProxy(node.url) as proxy:
        client = ChainClient(name="local", chain_id=CHAIN_ID, endpoints=[proxy.url], timeout_s=10.0)
        keeper = Keeper(tmp_path, client)
        node.rpc("evm_mine")
        first = keeper.cycle()
        node.rpc("anvil_reorg", 1, [])
        node.rpc("anvil_mine", hex(3))
        asked = proxy.fault(
            dropped(), "eth_getBlockByNumber", when=lambda params: params[0] == hex(first.number)
        )
        keeper.cycle()
        assert asked.struck > 0
        assert keeper.orphaned() == []
        proxy.clear()
        node.rpc("anvil_mine", hex(3))
        keeper.cycle()
        assert keeper.orphaned() == [(f"{first.timestamp_s}-0", first.number)]
        keeper.stop()
        client.close()


@pytest.fixture
def marked(keeper: Keeper, node: Node) -> Keeper:
    """Three cycles, of which a reorg took the last."""
    for _ in range(3):
        node.rpc("evm_mine")
        keeper.cycle()
    node.rpc("anvil_reorg", 1, [])
    keeper.cycle()
    return keeper


@pytest.mark.devnet
def test_replay_says_so_and_finds_the_same_decision(marked: Keeper) -> None:
    found = replay(marked.path)
    assert [len(r.orphaned) for r in found] == [0, 0, 1, 0]
    assert all(r.ok for r in found)
    document = replay_document(found)
    assert [len(cycle["orphaned"]) for cycle in document["cycles"]] == [0, 0, 1, 0]
    (mark,) = document["cycles"][2]["orphaned"]
    assert mark["cycle_id"] == found[2].cycle_id
    assert json.dumps(document)
    (alone,) = replay(marked.path, found[2].cycle_id)
    assert alone.orphaned == found[2].orphaned
    assert "was taken by a reorg" in text_of(replay_view(found))


@pytest.mark.devnet
def test_why_says_so(marked: Keeper) -> None:
    subject = next(iter(why(read(marked.path, TOLD_BY), "lyra:10"))).decision.subject
    found = why(read(marked.path, TOLD_BY), subject)
    orphans = [orphan for entry in found for orphan in entry.orphaned]
    assert len(orphans) == 1
    assert orphans[0].number == marked.client.head().number
    assert "was taken by a reorg" in text_of(why_view(found, chains={}))
    assert sum(len(d["orphaned"]) for d in why_document(subject, found)["decisions"]) == 1


def text_of(view: object) -> str:
    from rich.console import Console

    console = Console(width=400)
    with console.capture() as captured:
        console.print(view)
    return captured.get()


# What was decided on an orphan and is not signed


def watched(rig: Rig) -> OrphanWatch:
    chain_id = rig.chain.chain_id

    class Silent:
        def decided(self, *_: object) -> None:
            raise AssertionError

        def done(self, *_: object) -> None:
            raise AssertionError

    return OrphanWatch(
        Silent(), rig.journal, {chain_id: rig.chain}, {chain_id: FINAL_AFTER}, rig.executor.drop_unsigned_of
    )


def states(rig: Rig) -> dict[str, tuple[TxState, str]]:
    stored = rig.store.intents.within(list(TxState))
    return {s.intent.cycle_id: (s.state, s.reason) for s in stored}


@pytest.fixture
def look() -> Callable[[OrphanWatch, str, SimulatedChain], Sequence[Orphaned]]:
    def looked(watch: OrphanWatch, cycle_id: str, chain: SimulatedChain) -> Sequence[Orphaned]:
        snapshot = Snapshot(blocks=(chain.pin(),), accounts=(), instruments=(), quotes=())
        return watch.look(cycle_id, snapshot)

    return looked


Looking = Callable[[OrphanWatch, str, SimulatedChain], Sequence[Orphaned]]


def test_what_is_not_signed_is_dropped_with_the_reason(tmp_path: Path, look: Looking) -> None:
    chain = SimulatedChain()
    chain.mine(3)
    rig = Rig(tmp_path, chain, mode="dry-run")
    watch = watched(rig)
    look(watch, "cycle-1", chain)
    rig.cycle([1])
    assert states(rig)["cycle-1"][0] is TxState.SIMULATED
    chain.reorg(1, keep=True)
    chain.mine(2)
    (orphan,) = look(watch, "cycle-2", chain)
    assert states(rig)["cycle-1"] == (TxState.DROPPED, orphan.message)
    rig.stop()


@pytest.mark.parametrize("state", [TxState.SENT, TxState.CONFIRMED])
def test_what_is_sent_is_followed_as_ever(tmp_path: Path, look: Looking, state: TxState) -> None:
    chain = SimulatedChain(automine=state is TxState.CONFIRMED)
    chain.mine(3)
    rig = Rig(tmp_path, chain)
    watch = watched(rig)
    look(watch, "cycle-1", chain)
    rig.cycle([1])
    assert states(rig)["cycle-1"][0] is state
    chain.reorg(2, keep=True)
    chain.mine(3)
    assert len(look(watch, "cycle-2", chain)) == 1
    assert states(rig)["cycle-1"][0] is state
    rig.cycle()
    assert states(rig)["cycle-1"][0] is TxState.CONFIRMED
    assert sum(chain.effects(BELL).values()) == 1
    rig.stop()


def test_the_second_step_is_not_sent_on_an_orphan(tmp_path: Path) -> None:
    chain = SimulatedChain()
    chain.mine(3)
    rig = Rig(tmp_path, chain)
    broadcast = chain.broadcast

    def reorganised(raw: str) -> str:
        taken = broadcast(raw)
        chain.reorg(2, keep=True)
        chain.mine(2)
        return taken

    chain.broadcast = reorganised  # type: ignore[method-assign]
    first, second = rig.cycle([TWO_STEPS])
    assert first.success is True
    assert_dropped(second)
    assert len(chain.broadcasts) == 1
    chain.broadcast = broadcast  # type: ignore[method-assign]
    (again,) = rig.cycle([TWO_STEPS])
    assert again.success is True
    rig.stop()


def assert_dropped(outcome: Outcome) -> None:
    assert outcome.state is TxState.DROPPED
    assert outcome.reason == "block 3, on which it was decided, was taken by a reorg"
