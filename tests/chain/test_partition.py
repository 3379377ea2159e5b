"""A network that loses packets between the keeper and a node: another one is asked, and nothing hangs."""

from collections.abc import Iterator
from contextlib import ExitStack
from urllib.parse import urlsplit

import pytest

from keeper.chain.endpoint import Endpoint
from keeper.chain.errors import NodeUnreachable
from keeper.chain.pool import NodePool
from tests.chain.test_pool import FakeNode, wait_until
from tests.support.rpc_proxy import RpcProxy
from tests.support.tcp_proxy import TcpProxy

pytestmark = pytest.mark.faults

RAW = "0x02f801"


class Far:
    """Nodes on the other side of the network, each on its own way, and a pool over them."""

    def __init__(self, stack: ExitStack, *names: str) -> None:
        self.nodes = [FakeNode(name) for name in names]
        hosts = [urlsplit(stack.enter_context(RpcProxy(node)).url) for node in self.nodes]
        self.ways = [stack.enter_context(TcpProxy(("127.0.0.1", host.port or 0))) for host in hosts]
        self.pool = NodePool(
            "test",
            10,
            [Endpoint(f"http://127.0.0.1:{way.port}", timeout_s=1.5) for way in self.ways],
            timeout_s=30.0,
        )
        stack.callback(self.pool.close)
        self.pool.connect()

    def name(self) -> str:
        return str(self.pool.request("name", []))


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def test_another_node_is_asked_and_the_first_one_again_once_it_is_back(stack: ExitStack) -> None:
    far = Far(stack, "first", "second")
    assert far.name() == "first"
    with far.ways[0].parted():
        assert far.name() == "second"
    with far.ways[1].parted():
        assert far.name() == "first"
    assert far.pool.switches == 2


def test_with_no_way_left_it_is_told_and_heals_by_itself(stack: ExitStack) -> None:
    """First on a connection that stands, then because another one cannot be made."""
    far = Far(stack, "only")
    with far.ways[0].parted():
        for _ in range(2):
            with pytest.raises(NodeUnreachable, match=r"no answer within 1\.5 s"):
                far.name()
    assert far.name() == "only"


def test_what_was_sent_into_the_void_may_arrive_late(stack: ExitStack) -> None:
    """So it is not known whether the node has it, and the same bytes may be sent again."""
    far = Far(stack, "only")
    with far.ways[0].parted(), pytest.raises(NodeUnreachable):
        far.pool.broadcast(RAW)
    wait_until(lambda: far.nodes[0].taken == [RAW])
    assert far.pool.broadcast(RAW) == ()
