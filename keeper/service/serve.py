"""`keeper run`: the daemon, for as long as this keeper leads; and again when it is its turn."""

from typing import Final

import structlog

from keeper.config.settings import Settings
from keeper.journal.errors import JournalBusyError
from keeper.model.errors import TransientError
from keeper.service.daemon import Stop, ending_on_signals
from keeper.service.wire import assemble
from keeper.store.errors import LeadershipLostError, StoreBusyError

AGAIN_S: Final = 1.0

log = structlog.get_logger()


def serve(settings: Settings, *, live: bool) -> None:
    """Run the daemon until SIGTERM or SIGINT; with `store.standby` also wait for the lead, again and again.

    Raises what `assemble` and `Daemon.run` raise; `LeadershipLostError` only without `store.standby`.
    """
    while _round(settings, Stop(), live=live):
        pass


def _round(settings: Settings, stop: Stop, *, live: bool) -> bool:
    """Lead once. True when another keeper took over and this one may wait for its turn."""
    standby = settings.store.standby
    with ending_on_signals(stop):
        try:
            with assemble(settings, live=live, stop=stop, standby=standby) as keeper:
                keeper.daemon.run()
                if stop.deposed:
                    keeper.store.require_leading()
        except (LeadershipLostError, StoreBusyError, JournalBusyError, TransientError) as trouble:
            if stop.stopping and not stop.deposed:
                # Told to end, as a rule while it waited.
                return False
            if not standby:
                raise
            log.warning("standing by again", why=str(trouble))
            return stop.deposed or stop.pause(AGAIN_S)
    return False
