"""A keeper's execution on a simulated chain: store, journal and executor, started as often as needed."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from keeper.execution.executor import Executor, Report
from keeper.execution.limits import Limits, Pace
from keeper.journal.journal import Journal
from keeper.model.intent import Outcome, TxState
from keeper.model.plan import Plan, TxAction
from keeper.model.units import Wei
from keeper.store.database import BUSY_S
from keeper.store.place import Place
from keeper.store.rows import StoredIntent
from keeper.store.store import Mode, Store
from tests.execution.bell import BELL, Bell, bell_venue, call_of, plan_of, seen
from tests.execution.simulated_chain import SIGNER, Clock, PlainSigner, SimulatedChain
from tests.support import tally
from tests.support.audit import Audit, audit

LIMITS: Final = Limits(
    max_gas_wei_per_tx=Wei(10**16),
    max_gas_wei_per_hour=Wei(10**18),
    max_gas_wei_per_day=Wei(10**18),
    min_native=Wei(10**17),
    max_fee_per_gas=Wei(100 * 10**9),
    valid_blocks=20,
)
PACE: Final = Pace(receipt_wait_s=1.0, poll_s=0.1, foreign_wait_s=0.3)
FINAL_AFTER: Final = 6


def never(_boundary: str) -> None:
    """Crash nowhere."""


class Killed(BaseException):
    """Stands for kill -9: nothing catches it."""


def killed_at(boundary: str, times: int = 1) -> Callable[[str], None]:
    """End the keeper when it reaches a boundary for the n-th time."""
    left = times

    def crash_at(reached: str) -> None:
        nonlocal left
        if reached == boundary:
            left -= 1
            if left == 0:
                tally.count(tally.KILLS)
                raise Killed(boundary)

    return crash_at


class Rig:
    """One keeper that can be stopped, killed and started again on the same files."""

    def __init__(
        self,
        folder: Path,
        chain: SimulatedChain,
        *,
        mode: Mode = "live",
        limits: Limits = LIMITS,
        pace: Pace = PACE,
        clock: Clock | None = None,
        place: Place | None = None,
        busy_s: float = BUSY_S,
    ) -> None:
        self.folder = folder
        self.place = place or folder / "keeper.sqlite"
        self.busy_s = busy_s
        self.chain = chain
        self.mode: Mode = mode
        self.limits = limits
        self.pace = pace
        self.clock = clock or Clock()
        self.crash_at: Callable[[str], None] = never
        self.cycles = 0
        self.report: Report | None = None
        self._open = ExitStack()
        self.start()

    def start(self) -> None:
        """Open the files, and settle what the last run left."""
        self.store = self._open.enter_context(
            Store.open(
                self.place,
                self.mode,
                clock=self.clock,
                busy_s=self.busy_s,
                crash_at=lambda name: self.crash_at(name),
            )
        )
        self.journal = self._open.enter_context(Journal.open(self.folder / "journal.jsonl"))
        live = self.mode == "live"
        self.executor = Executor(
            clients={self.chain.chain_id: self.chain},
            venues=[(bell_venue(self.chain.chain_id), Bell())],
            store=self.store,
            journal=self.journal,
            sender=SIGNER,
            signer=PlainSigner() if live else None,
            limits=self.limits,
            live=live,
            final_after_blocks={self.chain.chain_id: FINAL_AFTER},
            pace=self.pace,
            clock=self.clock,
            sleep=self.clock.sleep,
        )
        self.report = self.executor.reconcile()

    def stop(self) -> None:
        self._open.close()
        self._open = ExitStack()

    def restart(self) -> None:
        self.stop()
        self.start()

    def cycle(self, numbers: Sequence[int] = ()) -> tuple[Outcome, ...]:
        """One cycle that decides `numbers`."""
        self.cycles += 1
        snapshot = seen([self.chain.pin()])
        plan = plan_of(numbers, self.chain.chain_id, snapshot)
        return self.executor.execute(plan, f"cycle-{self.cycles}", snapshot)

    def carry_out(self, *actions: TxAction) -> tuple[Outcome, ...]:
        """One cycle whose plan is `actions`."""
        self.cycles += 1
        snapshot = seen([self.chain.pin()])
        plan = Plan(
            snapshot_digest=snapshot.digest, params_digest="0" * 64, decisions=(), actions=tuple(actions)
        )
        return self.executor.execute(plan, f"cycle-{self.cycles}", snapshot)

    def needed(self, numbers: Sequence[int]) -> tuple[Outcome, ...]:
        """One cycle that decides those of `numbers` that have no effect on the chain, as a policy would."""
        done = self.chain.effects(BELL)
        return self.cycle([n for n in numbers if not done.get(call_of(n, self.chain.chain_id))])

    def audit(self, *, foreign: int = 0, effects: Mapping[int, int] | None = None) -> Audit:
        """Compare store, journal and chain, once nothing is under way."""
        return audit(
            self.store,
            self.folder / "journal.jsonl",
            self.chain.landed(),
            foreign=foreign,
            effects=effects,
        )

    def only(self) -> StoredIntent:
        """The one intent there is."""
        (stored,) = self.store.intents.within(list(TxState))
        return stored
