"""What can be wrong with a store, one class for each remedy.

* ConfigError                exit 2
  * StoreMissingError        nothing is there
  * StoreUnreadableError     no store of ours, or we may not use it
  * StoreNewerError          written by a later version
  * StoreOlderError          written by an earlier version
  * StoreModeError           of the other mode
  * StoreBusyError           another keeper owns it
  * StoreReplacedError       the file was taken from under us
  * DriverMissingError       PostgreSQL's driver is not installed
  * LeadershipLostError      another keeper has taken over; `keeper run` stands by again where it may
* TransientError             nothing is sent, the cycle is tried again
  * StoreLockedError         somebody else writes for too long
  * StoreFullError           no space left
  * StoreFailingError        the disk reports an error
  * StoreUnreachableError    no server, or it ended our session: nothing was written
  * CommitUnknownError       the server was lost before it said whether the move was written
* TripwireError              halt
  * IllegalMoveError         our own records contradict each other
  * StoreBehindError         the journal knows more than the store
"""

from keeper.model.errors import ConfigError, TransientError, TripwireError
from keeper.model.intent import TxState
from keeper.store.place import Place, shown


class StoreMissingError(ConfigError):
    """There is no store where the configuration says."""

    place: Place

    def __init__(self, place: Place) -> None:
        super().__init__(f"there is no store at {shown(place)}: run a cycle first, or correct [store]")
        self.place = place


class StoreUnreadableError(ConfigError):
    """The file cannot be opened, or is no database of ours."""

    place: Place

    def __init__(self, place: Place, problem: str) -> None:
        super().__init__(f"the store {shown(place)} cannot be used: {problem}")
        self.place = place


class StoreNewerError(ConfigError):
    """A later version of the keeper has written this store."""

    place: Place
    found: str
    """Schema revision of the file."""

    known: str
    """Schema revision of this program."""

    def __init__(self, place: Place, *, found: str, known: str) -> None:
        super().__init__(
            f"the store {shown(place)} has schema {found}, this version knows up to {known}: "
            "update the keeper, or use another store"
        )
        self.place = place
        self.found = found
        self.known = known


class StoreOlderError(ConfigError):
    """An earlier version has written this store, and a reader may not migrate it."""

    place: Place

    def __init__(self, place: Place, *, found: str, known: str) -> None:
        super().__init__(
            f"the store {shown(place)} has schema {found}, this version needs {known}: "
            "start `keeper run` once to migrate it"
        )
        self.place = place


class StoreModeError(ConfigError):
    """A store belongs to one mode: a rehearsed transaction must never pass for a sent one."""

    place: Place
    found: str
    wanted: str

    def __init__(self, place: Place, *, found: str, wanted: str) -> None:
        super().__init__(
            f"the store {shown(place)} belongs to {found} mode and cannot be used in {wanted} mode: "
            "name another one under [store]"
        )
        self.place = place
        self.found = found
        self.wanted = wanted


class StoreBusyError(ConfigError):
    """Another keeper owns this store."""

    place: Place
    holder: str
    """What the lock file says about the owner: its process id."""

    def __init__(self, place: Place, holder: str) -> None:
        super().__init__(
            f"another keeper (process {holder}) runs on the store {shown(place)}: stop it, "
            "or use another store"
        )
        self.place = place
        self.holder = holder


class StoreReplacedError(ConfigError):
    """The path leads to another file than the one that was opened, or to none."""

    place: Place

    def __init__(self, place: Place) -> None:
        super().__init__(
            f"the store {shown(place)} was removed or replaced while the keeper ran: nothing more is sent; "
            "put the file back before the next start"
        )
        self.place = place


class DriverMissingError(ConfigError):
    """PostgreSQL is asked for, and its driver is not installed."""

    def __init__(self) -> None:
        super().__init__("store.url needs PostgreSQL's driver: pip install 'keeper[postgres]'")


class LeadershipLostError(ConfigError):
    """Another keeper has taken over this store. What we signed is its to pursue; we sign nothing more."""

    place: Place
    leader: str
    """Host and process id; empty where it is not known."""

    def __init__(self, place: Place, leader: str) -> None:
        other = f"another keeper ({leader})" if leader else "another keeper"
        super().__init__(f"{other} leads on the store {shown(place)} now: this one sends nothing more")
        self.place = place
        self.leader = leader


class StoreLockedError(TransientError):
    """Somebody else held the database's write lock for longer than we wait."""

    def __init__(self, place: Place, waited_s: float) -> None:
        super().__init__(
            f"the store {shown(place)} stayed locked by another program for {waited_s:g} s: try again"
        )


class StoreFullError(TransientError):
    """The move could not be written, so the step was not taken."""

    def __init__(self, place: Place) -> None:
        super().__init__(
            f"no space left to write the store {shown(place)}: nothing was sent; free some space"
        )


class StoreFailingError(TransientError):
    """The disk, or what stands for it, reports an error: nothing was written."""

    def __init__(self, place: Place, problem: str) -> None:
        super().__init__(f"the store {shown(place)} cannot be written or read just now: {problem}")


class StoreUnreachableError(TransientError):
    """The server does not answer, or ended our session. Nothing was written."""

    def __init__(self, place: Place, problem: str) -> None:
        super().__init__(f"the store {shown(place)} is out of reach: {' '.join(problem.split())}")


class CommitUnknownError(TransientError):
    """The server was lost between a commit and its answer, and has not come back to say.

    Whoever reads the store next sees which it was; nobody may act as if he knew.
    """

    def __init__(self, place: Place) -> None:
        super().__init__(
            f"the store {shown(place)} was lost during a commit: whether it was written shows when it is back"
        )


class StoreBehindError(TripwireError):
    """The journal tells of a move that the store does not have: this is another store, or an old copy."""

    place: Place
    told: int
    """Number of the last move in the journal."""

    def __init__(self, place: Place, told: int) -> None:
        super().__init__(
            f"the store {shown(place)} does not have move {told}, which the journal tells of: it is an older "
            "copy, or another store; put the right one back, or start a new journal"
        )
        self.place = place
        self.told = told


class IllegalMoveError(TripwireError):
    """A move that the table of moves does not know: our own records contradict each other."""

    intent_id: str
    found: TxState | None
    """State in the store; None for an unknown intent."""

    wanted: TxState

    def __init__(self, intent_id: str, *, found: TxState | None, wanted: TxState) -> None:
        state = "unknown" if found is None else found.value
        super().__init__(f"intent {intent_id[:12]} is {state} and cannot become {wanted.value}")
        self.intent_id = intent_id
        self.found = found
        self.wanted = wanted
