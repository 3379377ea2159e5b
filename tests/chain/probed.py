"""A probe of a node through a proxy that has the limits."""

from typing import Any

from keeper.chain.limits import Need
from keeper.chain.multicall import MULTICALL3
from keeper.chain.probes import Probed, probe
from tests.chain.conftest import CHAIN_ID, EVENTS
from tests.support.rpc_proxy import RpcProxy

NEED = Need(
    chain_id=CHAIN_ID,
    multicall=MULTICALL3,
    call_gas=10_000_000,
    depth_blocks=24,
    log_blocks=64,
    logs_from=1,
    logs_at=(EVENTS,),
)


class Time:
    """A clock that only sleeping moves, so that patience costs no test any time."""

    now_s = 0.0
    slept_s = 0.0

    def __call__(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds
        self.slept_s += seconds


def asked(proxy: RpcProxy, need: Need = NEED, time: Time | None = None, **settings: Any) -> Probed:
    time = time or Time()
    return probe(proxy.url, need, timeout_s=20.0, clock=time, sleep=time.sleep, **settings)
