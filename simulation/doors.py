"""One door of the simulation: the real unit on a simulated board, with its leaf and its people.

The real shell (`edge.unit`), with its hands, postroom, courier and mailbox, runs here turn by turn;
the thread, the pins, the disk and the link are models.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import ClassVar, Final

from access.ids import DoorId, RequestId, SiteId
from access.model import Reader
from access.snapshot import Verify
from edge.badges.meeting import Cards, Meeting
from edge.condition import Rules
from edge.door import Door
from edge.events import ContactChanged, ExitButton, FireChanged, Started, Stopping, Tick
from edge.mailbox import Mail, Mailbox
from edge.memory import recall
from edge.ports import Signal
from edge.postroom import STATE_EVERY_S, last_will
from edge.presentation import CardRead, CardUnreadable
from edge.unit import DoorUnit, Happening
from runtime.link import Incoming
from simulation.cards import KEYS, Antenna
from simulation.clocks import EPOCH, NodeClock
from simulation.disk import Platter, PowerCutError, SimulatedOutbox
from simulation.invariants import Witness
from simulation.network import Broker, SimulatedLink
from simulation.rulebook import Card
from simulation.world import World

IDLE_S: Final = 600.0
"""How long a door's loop sleeps when nothing happens, and how seldom it tells how it is.

A real one wakes twice a second and tells it every 30 seconds, which would be nine tenths of all
that happens in a simulation.
"""

_MOST_TURNS: Final = 10_000
_MOST_SNAPSHOTS: Final = 16
_UNSAVED_S: Final = 1.0
_VERSION: Final = "simulated"


class SimulatedLock:
    """The lock of one door; implements `edge.ports.Lock`. Without power it is locked."""

    def __init__(self, on_move: Callable[[bool], None]) -> None:
        self._is_unlocked = False
        self._on_move = on_move

    @property
    def is_unlocked(self) -> bool:
        """Whether the lock is released now."""
        return self._is_unlocked

    def unlock(self) -> None:
        """Release the lock."""
        if not self._is_unlocked:
            self._is_unlocked = True
            self._on_move(True)  # noqa: FBT003 (the only argument)

    def lock(self) -> None:
        """Put the lock in its locked state."""
        if self._is_unlocked:
            self._is_unlocked = False
            self._on_move(False)  # noqa: FBT003 (the only argument)

    def close(self) -> None:
        """Lock."""
        self.lock()


class SimulatedSignals:
    """The light of one door; implements `edge.ports.Signals`."""

    def __init__(self, on_show: Callable[[Signal], None]) -> None:
        self._on_show = on_show

    def show(self, signal: Signal) -> None:
        """Show a signal."""
        self._on_show(signal)

    def close(self) -> None:
        """Nothing to switch off."""


class SimulatedUnit(DoorUnit):
    """The real shell, run by the world instead of by a thread of its own."""

    def turn(self, happening: Happening) -> str | None:
        """Do one turn of the loop; returns what went wrong in it, if anything did."""
        try:
            self._take(happening)
            self._tend()
        except Exception as error:  # noqa: BLE001 (as the real loop does)
            self._recover()
            return repr(error)
        return None

    def stop(self) -> None:
        """End as the real loop does."""
        self._handle(Stopping())
        self._postroom.say_goodbye()
        self._lock.lock()

    def wake_every(self, seconds: float) -> None:
        """Tell how it is as often as a loop that wakes so often does, in seconds."""
        self._postroom.state_every_s = max(seconds, STATE_EVERY_S)

    @property
    def rules(self) -> Door:
        """The state machine inside."""
        return self._door

    @property
    def wants_restart(self) -> bool:
        """Whether a restart was ordered."""
        return self._wants_restart

    @property
    def acknowledged(self) -> int:
        """Up to which record the server has acknowledged the journal."""
        return self._postroom.courier.acknowledged

    @property
    def has_unsaved(self) -> bool:
        """Whether records wait in memory."""
        return bool(self._hands.unsaved)

    @property
    def due(self) -> float | None:
        """The monotonic time of the next turn, in seconds."""
        dues = [self._door.due, self._postroom.courier.due]
        if self._hands.unsaved:
            dues.append(self._clock.monotonic() + _UNSAVED_S)
        return min((due for due in dues if due is not None), default=None)


class SimulatedMailbox(Mailbox):
    """The real mailbox; a snapshot that one door has checked and read is not read anew by others.

    The bytes are the same, the key is the same, and what they say is never changed.
    """

    _read_before: ClassVar[dict[tuple[Verify, bytes, bool], Mail]] = {}

    def _policy(self, message: Incoming) -> Mail:
        known = (self.verify, message.payload, message.is_retained)
        if known not in self._read_before:
            mail = super()._policy(message)
            if len(self._read_before) >= _MOST_SNAPSHOTS:
                self._read_before.clear()
            self._read_before[known] = mail
        return self._read_before[known]


@dataclass(slots=True, kw_only=True)
class DoorNode:
    """One door: its unit, its disk, its wires, its leaf.

    Attributes:
        platter: what its disk keeps.
        capacity: how many records its outbox holds.
        is_leaf_open: whether the leaf stands open.
        is_button_down: whether the exit button is pressed, which frees the lock by wiring.
        is_fire: whether the fire panel has cut the lock's power, which frees it by wiring too.
        stalled_until_s: until when its loop hangs, in true seconds.
        idle_s: how long its loop sleeps when nothing happens.
        on_tap: told of each badge, since faults like to strike just then.
        failed: the readers that see nothing now.
        boots_wrong: what its clock does at each start: nothing, `1970`, or `lags`.
    """

    world: World
    witness: Witness
    broker: Broker
    site: SiteId
    id: DoorId
    readers: tuple[Reader, ...]
    verify: Verify
    badge_key: bytes
    clock: NodeClock
    capacity: int = 20_000
    platter: Platter = field(default_factory=Platter)
    unit: SimulatedUnit | None = None
    link: SimulatedLink | None = None
    lock: SimulatedLock | None = None
    is_leaf_open: bool = False
    is_button_down: bool = False
    is_fire: bool = False
    stalled_until_s: float = 0.0
    boots_wrong: str = ""
    idle_s: float = IDLE_S
    down_since_s: float = 0.0
    on_tap: Callable[[DoorId], None] = lambda _door: None
    failed: set[Reader] = field(default_factory=set)
    _queue: deque[Happening] = field(default_factory=deque)
    _wake: int = 0
    _boots: int = 0
    _is_busy: bool = False

    def power_on(self) -> None:
        """Start the unit on what its disk has kept."""
        if self.unit is not None:
            return
        self._set_clock()
        outbox = SimulatedOutbox(
            self.platter,
            site=self.site,
            door=self.id,
            capacity=self.capacity,
            on_durable=lambda record: self.witness.durable(self.id, record),
        )
        self.lock = SimulatedLock(self._moved)
        self._boots += 1
        self.unit = SimulatedUnit(
            door=Door(
                rules=Rules(
                    site=self.site,
                    door=self.id,
                    readers=self.readers,
                    clock_is_kept=self.boots_wrong != "lags",
                ),
                new_id=self._new_id,
                kept=recall(outbox, self.verify),
            ),
            outbox=outbox,
            lock=self.lock,
            signals=SimulatedSignals(self._shown),
            mailbox=SimulatedMailbox(site=self.site, door=self.id, verify=self.verify),
            badge_key=self.badge_key,
            clock=self.clock,
            version=_VERSION,
            on_turn=lambda: None,
        )
        self.unit.wake_every(self.idle_s)
        self._connect(self.unit)
        self.world.tell(self.id, "starts", f"clock {self.clock.off_s:+.1f} s")
        self.witness.started(self.id)
        self.post(Started(version=_VERSION, is_open=self.is_leaf_open, is_fire=self.is_fire))

    def power_off(self) -> None:
        """Take the power away: no goodbye; what was not synced may be lost; the lock locks."""
        if self.unit is None or self.link is None:
            return
        self.world.count("power_cut")
        self.world.tell(self.id, "power is cut")
        self._end()
        self.link.vanish()
        self.platter.cut(is_lost=self.world.chance("disk").random() < 0.5)  # noqa: PLR2004

    def wake_every(self, seconds: float) -> None:
        """Let its loop wake, and tell how it is, so often."""
        self.idle_s = seconds
        if self.unit is not None:
            self.unit.wake_every(seconds)
        self.post(Tick())

    def restart(self) -> None:
        """Stop the unit kindly, and start it again a little later, as its supervisor does."""
        if self.unit is None or self.link is None:
            return
        self.world.count("unit_restart")
        self.world.tell(self.id, "restarts")
        self.unit.stop()
        self.link.close()
        self._end()
        self.platter.sync()
        self.world.after(2.0, self.power_on)

    def tap(self, reader: Reader, card: Card, who: str) -> bool:
        """Somebody presents a badge; returns whether the reader saw it."""
        if self.unit is None or reader in self.failed:
            return False
        self.world.tell(self.id, f"badge at {reader.value}", who)
        met = self._meet(reader, card, self.unit)
        self.witness.tapped(self.id, reader, card, met, is_stalled=self.is_stalled)
        if card.body is not None:
            card.body.leaves_after = None
        self.post(met)
        self.on_tap(self.id)
        return True

    def _meet(self, reader: Reader, card: Card, unit: SimulatedUnit) -> CardRead | CardUnreadable:
        """Let the reader do with a card what the door wants of it."""
        if card.body is None:
            return CardRead(reader=reader.value, uid=card.uid)
        chance = self.world.chance("cards")
        meeting = Meeting(
            reader=reader.value,
            memory=Antenna(chance=chance, body=card.body),
            cards=Cards(keys=KEYS, ask=unit.wish),
            random=chance.randbytes,
        )
        return meeting.meet(card.uid)

    @property
    def is_stalled(self) -> bool:
        """Whether its loop hangs now."""
        return self.world.now_s < self.stalled_until_s

    @property
    def is_free(self) -> bool:
        """Whether somebody who pushes the door comes through."""
        released = self.lock is not None and self.lock.is_unlocked
        return self.is_leaf_open or self.is_button_down or self.is_fire or released

    def press(self, *, is_down: bool) -> None:
        """The exit button is pressed or let go of: the wire frees the lock, whatever runs."""
        self.is_button_down = is_down
        if is_down:
            self.world.tell(self.id, "exit button")
        self.post(ExitButton(is_pressed=is_down))

    def fire(self, *, is_on: bool) -> None:
        """The fire panel cuts the lock's power, or is reset: the wire does it, whatever runs."""
        self.is_fire = is_on
        self.post(FireChanged(is_on=is_on))

    def swing(self, *, is_open: bool) -> None:
        """The leaf moves."""
        if is_open != self.is_leaf_open:
            self.is_leaf_open = is_open
            self.world.tell(self.id, "opens" if is_open else "closes")
            self.post(ContactChanged(is_open=is_open))

    def stall(self, seconds: float) -> None:
        """The loop hangs for a while, as on a slow card."""
        self.stalled_until_s = max(self.stalled_until_s, self.world.now_s + seconds)
        self.world.tell(self.id, "hangs", f"{seconds:.2f} s")

    def post(self, happening: Happening) -> None:
        """Give the unit something to do."""
        if self.unit is None:
            return
        self._queue.append(happening)
        self._drain()

    def _drain(self) -> None:
        if self._is_busy or self.unit is None:
            return
        if self.is_stalled:
            self._wake_in(self.stalled_until_s - self.world.now_s)
            return
        self._is_busy = True
        try:
            for _ in range(_MOST_TURNS):
                if not self._queue or self.unit is None:
                    break
                self._turn(self._next())
            else:
                self.witness.protest(12, f"{self.id} spins: it wants to be woken at once, for ever")
        finally:
            self._is_busy = False
        self._sleep()

    def _next(self) -> Happening:
        """What is due comes before what waits, as in the real loop."""
        due = self.unit.rules.due if self.unit is not None else None
        if due is not None and due <= self.clock.monotonic():
            return Tick()
        return self._queue.popleft()

    def _turn(self, happening: Happening) -> None:
        unit = self.unit
        if unit is None:
            return
        self.witness.begins(self.id, happening)
        try:
            wrong = unit.turn(happening)
        except PowerCutError:
            self.world.count("power_cut_in_write")
            self.power_off()
            self.world.after(self.world.chance("disk").uniform(5.0, 120.0), self.power_on)
            return
        self.witness.ends(self.id, unit.rules, wrong, waits=unit.has_unsaved)
        if unit.wants_restart:
            self.restart()

    def _sleep(self) -> None:
        if self.unit is None:
            return
        due, mono = self.unit.due, self.clock.monotonic()
        wait_s = self.idle_s if due is None else min(due - mono, self.idle_s)
        self._wake_in(max(wait_s, 0.0) + 0.001)

    def _wake_in(self, seconds: float) -> None:
        self._wake += 1
        number = self._wake
        self.world.after(seconds, lambda: self._woken(number))

    def _woken(self, number: int) -> None:
        if number == self._wake and self.unit is not None:
            self.post(Tick())

    def _connect(self, unit: SimulatedUnit) -> None:
        mailbox = Mailbox(site=self.site, door=self.id, verify=self.verify)
        was_cut = self.link is not None and self.link.is_cut
        boots = self._boots
        self.link = SimulatedLink(
            world=self.world,
            broker=self.broker,
            client_id=self.id,
            wishes=mailbox.wishes(),
            will=last_will(self.site, self.id),
            deliver=lambda event: self.post(event) if boots == self._boots else None,
            is_cut=was_cut,
        )
        unit.connect(self.link)
        self.link.start()

    def _end(self) -> None:
        self.unit, self.down_since_s = None, self.world.now_s
        self.witness.stopped(self.id)
        self._queue.clear()
        if self.lock is not None:
            self.lock.lock()

    def _set_clock(self) -> None:
        self.clock.boot()
        if self.boots_wrong == "1970" and self._boots:
            self.world.count("boot_1970")
            self.clock.show(EPOCH + timedelta(seconds=20))
        elif self.boots_wrong == "lags" and self._boots:
            # A unit without a battery goes on where it was switched off.
            self.world.count("boot_lags")
            self.clock.jump(self.down_since_s - self.world.now_s)

    def _new_id(self) -> RequestId:
        """Make a UUID version 7 of the world's time and chance (RFC 9562, 5.7)."""
        millis = int(self.world.now.timestamp() * 1000)
        low = self.world.chance(f"ids/{self.id}").getrandbits(74)
        number = millis << 80 | 7 << 76 | (low >> 62) << 64 | 2 << 62 | low & (2**62 - 1)
        text = f"{number:032x}"
        return RequestId(f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}")

    def _moved(self, is_unlocked: bool) -> None:  # noqa: FBT001 (the only argument)
        self.world.tell(self.id, "unlocks" if is_unlocked else "locks")
        if is_unlocked:
            unsaved = self.unit is not None and self.unit.has_unsaved
            self.witness.unlocked(self.id, has_unsaved=unsaved)
        else:
            self.witness.locked(self.id)

    def _shown(self, signal: Signal) -> None:
        self.witness.shown(self.id, signal)
