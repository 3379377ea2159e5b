"""A node that takes thirty seconds for every answer, with the timeouts that operators get by default.

Takes minutes: only where `KEEPER_SOAK` is set. With short timeouts `test_nodes` tries the same everywhere.
"""

import os
from contextlib import ExitStack
from pathlib import Path

import pytest

from keeper.chain.client import ChainClient
from tests.execution.bell import decision
from tests.execution.local_chain import CHAIN_ID, local_chain
from tests.execution.rig import LIMITS
from tests.support.rpc_proxy import RpcProxy, delayed

pytestmark = [
    pytest.mark.devnet,
    pytest.mark.faults,
    pytest.mark.skipif("KEEPER_SOAK" not in os.environ, reason="takes minutes; set KEEPER_SOAK"),
]


@pytest.mark.parametrize("quorum", [1, 2])
def test_beside_two_sound_nodes_everything_takes_effect_once(tmp_path: Path, quorum: int) -> None:
    with local_chain(tmp_path) as local, ExitStack() as stack:
        slow, *sound = (stack.enter_context(RpcProxy(local.node.url)) for _ in range(3))
        client = ChainClient.connect(
            name="local", chain_id=CHAIN_ID, endpoints=[p.url for p in (slow, *sound)], quorum=quorum
        )
        stack.callback(client.close)
        kept, local.client = local.client, client
        slow.fault(delayed(30.0))
        for number in (1, 2):
            (outcome,) = local.carry_out((decision(number, CHAIN_ID),), LIMITS)
            assert outcome.success is True, outcome.reason
        assert (local.effects(1), local.effects(2), local.sent()) == (1, 1, 2)
        local.client = kept
