"""Everything that is built from the settings, in one place and by hand."""

import contextlib
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import structlog

from keeper import __version__
from keeper.chain.client import ChainClient
from keeper.config.settings import Settings
from keeper.config.tables import Mode
from keeper.execution.crash import CRASH_AT, crash_point
from keeper.execution.errors import HaltedError
from keeper.execution.executor import Executor, Report
from keeper.execution.l1_fee import ArbitrumFees, L1Fees, NoL1Fees, OpStackFees
from keeper.execution.limits import Limits
from keeper.execution.signer import Signer
from keeper.journal.journal import Journal
from keeper.model.intent import Outcome
from keeper.model.plan import Plan
from keeper.model.reads import Address
from keeper.model.record import Record, RecordKind
from keeper.model.snapshot import Snapshot
from keeper.model.units import ONE, Wei, floor_to_wad
from keeper.policy.decide import decide
from keeper.service.chains import (
    client_of,
    clients,
    connect,
    heads_of,
    natives_of,
    observer_of,
    observing,
    reach,
    require_code,
    venues_of,
    watching_heads,
)
from keeper.service.check.check import check
from keeper.service.check.verdicts import Checked
from keeper.service.cycle import Cycle, Stages, run_cycle
from keeper.service.daemon import Daemon, Schedule, Stop
from keeper.service.errors import NotLiveError, PayerMismatchError, TakerMismatchError
from keeper.service.keys import load_signer, load_urgent_signer
from keeper.service.leader import Turn, opened_in_turn
from keeper.service.orphans import OrphanWatch
from keeper.service.record import CycleRecorder, JournaledCycle, cycle_name
from keeper.service.screening import Screening, ScreenRules
from keeper.snapshot.observe import Observer
from keeper.store.store import Store

NOBODY: Final = Address("0x000000000000000000000000000000000000dEaD")
"""Sends the simulations of a dry-run that owns no account."""

GWEI: Final = 10**9
MEGABYTE: Final = 10**6

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Keeper:
    """A daemon ready to run, and what it writes down."""

    daemon: Daemon
    recorder: CycleRecorder
    report: Report
    """What the start found of earlier transactions, and what of them the journal had missed."""

    store: Store


def limits_of(settings: Settings) -> Limits:
    """Return the limits of execution, in wei and exact USD."""
    table = settings.limits
    return Limits(
        max_gas_wei_per_tx=Wei(table.max_gas_wei_per_tx),
        max_gas_wei_per_hour=Wei(table.max_gas_wei_per_hour),
        max_gas_wei_per_day=Wei(table.max_gas_wei_per_day),
        min_native=Wei(int(table.min_native * ONE)),
        max_fee_per_gas=Wei(int(table.max_fee_gwei * GWEI)),
        valid_blocks=table.valid_blocks,
        urgent_kinds=frozenset(table.urgent_kinds),
        max_moved_usd_per_tx=floor_to_wad(table.max_moved_usd_per_tx),
        max_moved_usd_per_hour=floor_to_wad(table.max_moved_usd_per_hour),
        max_moved_usd_per_day=floor_to_wad(table.max_moved_usd_per_day),
        emergency_kinds=frozenset(table.emergency_kinds),
        emergency_max_fee_per_gas=Wei(int(table.emergency_max_fee_gwei * GWEI)),
        emergency_max_gas_wei_per_day=Wei(table.emergency_max_gas_wei_per_day),
        promise_tolerance_bps=table.promise_tolerance_bps,
        require_promise=table.require_promise,
    )


def l1_fees_of(settings: Settings, connected: Mapping[int, ChainClient]) -> dict[int, L1Fees]:
    """Return by chain id how the data fee of layer 1 is found out."""
    kinds: dict[str, Callable[[ChainClient], L1Fees]] = {
        "none": lambda _: NoL1Fees(),
        "op-stack": OpStackFees,
        "arbitrum": ArbitrumFees,
    }
    tables = settings.chains.values()
    return {table.chain_id: kinds[table.l1_fee](connected[table.chain_id]) for table in tables}


def rehearsing_sender(settings: Settings) -> Address:
    """Return who sends the simulations of a dry-run, without a key: who hedges, else an owner of ours."""
    hedgers = [hedge.owner for hedge in settings.policy.hedge]
    return next(iter((*hedgers, *settings.owners())), NOBODY)


def check_settings(settings: Settings, tell: Callable[[str], None] = lambda _: None) -> Iterator[Checked]:
    """Yield the lines of `keeper check`. `tell` is given what is being done."""

    def observe() -> Snapshot:
        with observing(settings) as take:
            return take()

    return check(settings, connect=connect, observe=observe, tell=tell)


def rehearse(settings: Settings) -> Cycle:
    """Run one cycle that sends nothing and leaves nothing: its store and journal are thrown away."""
    sender = rehearsing_sender(settings)
    params = settings.params()
    with (
        tempfile.TemporaryDirectory(prefix="keeper-plan-") as folder,
        Store.open(Path(folder) / "plan.sqlite", "dry-run") as store,
        clients(settings, client_of) as connected,
    ):
        observer = observer_of(settings, connected, senders=[sender])
        executor = _executor(settings, connected, store, _Forgotten(), sender=sender, signer=None)
        stages = Stages(
            observe=observer.observe,
            decide=lambda snapshot: decide(snapshot, params),
            execute=lambda cycle_id, plan, snapshot: executor.execute(plan, cycle_id, snapshot),
            journal=_Forgotten(),
            name=cycle_name,
        )
        return run_cycle(stages)


@contextlib.contextmanager
def assemble(
    settings: Settings, *, live: bool, stop: Stop | None = None, standby: bool = False
) -> Iterator[Keeper]:
    """Give a daemon ready to run, with its store and journal open and earlier transactions reconciled.

    A chain that does not answer does not keep the keeper from starting: its accounts are gaps. With
    `standby`, this waits, connected, for as long as another keeper leads on the store. Raises
    `NotLiveError`, `TakerMismatchError`, `PayerMismatchError`, `NoCodeError`, `SignerMismatchError`, what
    `load_signer` raises, and what opening the store, the journal and the chains raises: nothing has been
    sent then.
    """
    if live and settings.mode != "live":
        raise NotLiveError(settings.source)
    stop = stop or Stop()
    signer = load_signer(settings) if live else None
    urgent = load_urgent_signer(settings) if live else None
    sender = signer.address if signer is not None else rehearsing_sender(settings)
    params = settings.params()
    if signer is not None and params.liquidation.enabled:
        liquidating = urgent if "liquidate" in settings.limits.urgent_kinds else None
        _require_one_of((signer, liquidating), params.liquidation.taker, TakerMismatchError)
    if signer is not None:
        _require_one_of((signer, urgent), params.top_up.payer, PayerMismatchError)
    mode: Mode = "live" if live else "dry-run"
    with contextlib.ExitStack() as stack:
        connected: dict[int, ChainClient] = {}
        turn: Turn | None = None
        if standby:
            connected |= stack.enter_context(clients(settings, reach))
            turn = stack.enter_context(Turn(settings.store.place, stop, lambda: heads_of(connected)))
        store = stack.enter_context(
            Store.open(settings.store.place, mode, crash_at=_crash_at(), wait=turn, on_lost=stop.step_down)
        )
        journal = stack.enter_context(opened_in_turn(lambda: _journal(settings), stop, waits=standby))
        if turn is not None:
            turn.end()
        else:
            connected |= stack.enter_context(clients(settings, reach))
        require_code(settings, connected)
        journal.opened(mode, __version__)
        senders = [sender] if urgent is None else [sender, urgent.address]
        observer = observer_of(settings, connected, senders=senders, load=store.found, save=store.save_found)
        observe = stack.enter_context(_looking(settings, observer, senders, stop.due))
        executor = _executor(
            settings, connected, store, journal, sender=sender, signer=signer, urgent=urgent, stop=stop
        )
        recorder = CycleRecorder(
            store,
            journal,
            chains=settings.chain_names(),
            hosts={chain_id: client.hosts for chain_id, client in connected.items()},
            heads=lambda: heads_of(connected),
            natives=lambda: natives_of(connected, sender) if live else {},
            urgent_natives=lambda: {} if urgent is None else natives_of(connected, urgent.address),
        )
        daemon = Daemon(
            stages=Stages(
                observe=observe,
                decide=lambda snapshot: decide(snapshot, params),
                execute=_Sending(executor),
                journal=OrphanWatch(
                    JournaledCycle(journal, params),
                    journal,
                    connected,
                    {t.chain_id: t.final_after_blocks for t in settings.chains.values()},
                    executor.drop_unsigned_of,
                ),
                name=cycle_name,
            ),
            recorder=recorder,
            schedule=Schedule(
                interval_s=settings.cycle.interval_s,
                heads=partial(watching_heads, settings) if settings.cycle.on_new_head else None,
            ),
            stop=stop,
        )
        report = executor.reconcile()
        _log_start(settings, sender, live, store, report)
        yield Keeper(daemon=daemon, recorder=recorder, report=report, store=store)


def _journal(settings: Settings) -> Journal:
    table = settings.journal
    return Journal.open(table.path, segment_bytes=table.segment_mb * MEGABYTE, keep_days=table.keep_days)


@contextlib.contextmanager
def _looking(
    settings: Settings, observer: Observer, senders: Sequence[Address], due: Callable[[], None]
) -> Iterator[Callable[[], Snapshot]]:
    """Give what a cycle observes with. The full reads behind a screen have connections of their own."""
    table = settings.screen
    if not table.enabled:
        yield observer.observe
        return
    with clients(settings, client_of) as others:
        behind = observer_of(settings, others, senders=senders)
        rules = ScreenRules(full_read_s=table.full_read_s, min_accounts=table.min_accounts)
        screening = Screening(observer, behind, rules, due=due)
        with screening.running():
            yield screening.observe


def _require_one_of(
    signers: Sequence[Signer | None],
    named: Address | None,
    mismatch: type[TakerMismatchError | PayerMismatchError],
) -> None:
    able = [signer.address for signer in signers if signer is not None]
    if named is not None and named not in able:
        raise mismatch(named, *able)


class _Forgotten:
    """A journal of a rehearsal: nothing is kept."""

    def append(
        self,
        kind: RecordKind,
        cycle_id: str,
        chain_time_s: int,
        body: dict[str, Any],
        *,
        durable: bool = True,
    ) -> Record:
        return Record(
            sequence=0, previous="", cycle_id=cycle_id, kind=kind, chain_time_s=chain_time_s, body=body
        )

    def last(self, kind: RecordKind) -> Record | None:
        return None

    def decided(self, *_: object) -> None:
        pass

    def done(self, *_: object) -> None:
        pass


def _executor(
    settings: Settings,
    connected: Mapping[int, ChainClient],
    store: Store,
    journal: Journal | _Forgotten,
    *,
    sender: Address,
    signer: Signer | None,
    urgent: Signer | None = None,
    stop: Stop | None = None,
) -> Executor:
    return Executor(
        clients=connected,
        venues=venues_of(settings),
        store=store,
        journal=journal,
        sender=sender,
        signer=signer,
        urgent_signer=urgent,
        taker=settings.taker(),
        limits=limits_of(settings),
        live=signer is not None,
        final_after_blocks={t.chain_id: t.final_after_blocks for t in settings.chains.values()},
        l1_fees=l1_fees_of(settings, connected),
        stop=(lambda: stop.stopping) if stop is not None else (lambda: False),
    )


class _Sending:
    """Carries plans out. While halted the keeper goes on watching, and sends nothing."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor
        self._told = ""

    def __call__(self, cycle_id: str, plan: Plan, snapshot: Snapshot) -> tuple[Outcome, ...]:
        try:
            outcomes = self._executor.execute(plan, cycle_id, snapshot)
        except HaltedError as halted:
            if self._told != str(halted):
                log.warning("nothing is sent", why=str(halted))
            self._told = str(halted)
            return ()
        if self._told:
            log.info("sending again")
        self._told = ""
        return outcomes


def _crash_at() -> Callable[[str], None]:
    """Return where a test ends this process; nowhere as a rule."""
    name = os.environ.get(CRASH_AT)
    return crash_point(name) if name else lambda _boundary: None


def _log_start(settings: Settings, sender: Address, live: bool, store: Store, report: Report) -> None:
    log.info(
        "started",
        mode="live" if live else "dry-run",
        config=str(settings.source),
        sender=sender,
        chains=list(settings.chains),
        version=__version__,
        at_s=int(time.time()),
    )
    if (halt := store.halted()) is not None:
        log.warning("halted: watching, sending nothing", by=halt.by, reason=halt.reason)
    for line in report.lines:
        log.info(
            "earlier transaction",
            reaction=line.reaction.value,
            intent=line.intent_id[:12],
            text=line.text,
        )
    for note in report.notes:
        log.warning("earlier transactions", note=note)
