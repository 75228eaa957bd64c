"""What goes wrong, and when: each seed has some of it (swarm testing), each kind counts itself.

After the last fault everything is mended; what must come right by itself then has to.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from enum import Enum
from typing import Final

from access.ids import DoorId, MemberId
from access.messages import Command, encode
from access.model import Reader
from access.orders import sign_command
from access.snapshot import Sign
from access.topics import COMMAND, DECISION, of_door
from edge.presentation import ReaderFailed, ReaderRecovered
from runtime.link import Outgoing
from simulation.doors import DoorNode
from simulation.invariants import Witness
from simulation.network import Broker, Vices
from simulation.rulebook import SITE, ZONE, Rulebook
from simulation.servers import ServerNode
from simulation.world import World


class Fault(Enum):
    """A kind of fault."""

    CUT = "cut"
    RESET = "reset"
    DROP = "drop"
    REPEAT = "repeat"
    REORDER = "reorder"
    SLOW = "slow"
    BROKER = "broker"
    FORGET = "forget"
    RESEND = "resend"
    LATE_WILL = "late_will"
    GARBAGE = "garbage"
    PLANTED = "planted"
    SERVER = "server"
    SERVER_STALL = "server_stall"
    LEDGER = "ledger"
    MID_COMMIT = "mid_commit"
    POWER = "power"
    MID_WRITE = "mid_write"
    DISK = "disk"
    SMALL_OUTBOX = "small_outbox"
    STALL = "stall"
    READER = "reader"
    CLOCK_OFF = "clock_off"
    CLOCK_JUMP = "clock_jump"
    BOOT_1970 = "boot_1970"
    BOOT_LAGS = "boot_lags"
    STAFF = "staff"
    COMMANDS = "commands"
    FIRE = "fire"


_AT_TAPS: Final = (
    Fault.CUT,
    Fault.RESET,
    Fault.BROKER,
    Fault.SERVER,
    Fault.SERVER_STALL,
    Fault.LEDGER,
    Fault.MID_COMMIT,
    Fault.POWER,
    Fault.MID_WRITE,
    Fault.DISK,
    Fault.STALL,
    Fault.CLOCK_JUMP,
    Fault.STAFF,
)
"""What likes to strike while somebody stands at a door."""

_AT_TAP: Final = 0.1
_AFTERNOON: Final = range(12, 22)
_WAKES_S: Final = 10.0
"""How often loops wake once all is mended."""

_EVERY_S: Final = {
    Fault.CUT: 2400.0,
    Fault.RESET: 1800.0,
    Fault.BROKER: 9000.0,
    Fault.GARBAGE: 1800.0,
    Fault.SERVER: 6000.0,
    Fault.SERVER_STALL: 3000.0,
    Fault.LEDGER: 3600.0,
    Fault.MID_COMMIT: 4000.0,
    Fault.POWER: 5000.0,
    Fault.MID_WRITE: 5000.0,
    Fault.DISK: 5000.0,
    Fault.STALL: 1200.0,
    Fault.READER: 5000.0,
    Fault.CLOCK_JUMP: 9000.0,
    Fault.STAFF: 4000.0,
    Fault.COMMANDS: 3000.0,
    Fault.FIRE: 30_000.0,
}
"""How often on average, in seconds."""


@dataclass(slots=True, kw_only=True)
class Trouble:
    """Makes the faults of one seed happen.

    Attributes:
        kinds: which faults this seed has.
        pace: how many times longer than usual it is from one fault to the next.
        from_s: until when nothing goes wrong, in true seconds.
        is_over: whether nothing goes wrong any more.
        on_fire: told that a fire alarm begins, since people run then.
    """

    world: World
    witness: Witness
    broker: Broker
    rules: Rulebook
    server: ServerNode
    doors: dict[DoorId, DoorNode]
    sign: Sign
    kinds: frozenset[Fault]
    pace: float = 1.0
    from_s: float = 0.0
    is_over: bool = False
    on_fire: Callable[[], None] = lambda: None
    _aim: DoorId | None = None
    _does: dict[Fault, Callable[[], None]] = field(default_factory=dict)

    def begin(self) -> None:
        """Set what is wrong from the start, and plan the rest."""
        self._does = {
            Fault.CUT: self._cut,
            Fault.RESET: self._reset,
            Fault.BROKER: self._broker,
            Fault.GARBAGE: self._garbage,
            Fault.SERVER: self._kill,
            Fault.SERVER_STALL: self._stall_server,
            Fault.LEDGER: self._refuse_books,
            Fault.MID_COMMIT: self._die_in_commit,
            Fault.POWER: self._power,
            Fault.MID_WRITE: self._power_in_write,
            Fault.DISK: self._refuse_disk,
            Fault.STALL: self._stall,
            Fault.READER: self._reader,
            Fault.CLOCK_JUMP: self._jump,
            Fault.STAFF: self._staff,
            Fault.COMMANDS: self._command,
            Fault.FIRE: self._fire,
        }
        self._set_vices()
        self._set_doors()
        for door in self.doors.values():
            door.on_tap = self._on_tap
        for kind in Fault:
            if kind in self.kinds and kind in self._does:
                self._again(kind)

    def heal(self) -> None:
        """Mend everything."""
        self.is_over = True
        self.world.tell("world", "heals")
        self.broker.vices = Vices()
        self.broker.planted.clear()
        self.broker.start()
        self.witness.patience_s = 0.0
        self.server.books.is_refusing, self.server.books.dies = False, ""
        self.server.stalled_until_s = min(self.server.stalled_until_s, self.world.now_s)
        if self.server.link is not None:
            self.server.link.heal()
        self.server.wake_every(_WAKES_S)
        self.server.start()
        self._reset_panel()
        for door in self.doors.values():
            self._mend(door)

    def _mend(self, door: DoorNode) -> None:
        door.platter.is_refusing, door.platter.cut_in = False, None
        door.boots_wrong = ""
        door.wake_every(_WAKES_S)
        door.clock.correct()
        door.stalled_until_s = min(door.stalled_until_s, self.world.now_s)
        if door.link is not None:
            door.link.heal()
        for reader in list(door.failed):
            self._mend_reader(door, reader)
        door.power_on()

    def _set_vices(self) -> None:
        chance, has = self.world.chance("faults"), self.kinds.__contains__
        self.broker.vices = Vices(
            drop=chance.choice([0.02, 0.2]) if has(Fault.DROP) else 0.0,
            repeat=chance.choice([0.05, 0.4]) if has(Fault.REPEAT) else 0.0,
            reorder=chance.choice([0.05, 0.4]) if has(Fault.REORDER) else 0.0,
            slow_s=chance.choice([0.8, 5.0]) if has(Fault.SLOW) else 0.0,
            resends=has(Fault.RESEND),
            late_will_s=5.0 if has(Fault.LATE_WILL) else 0.0,
            forgets=has(Fault.FORGET),
        )
        self.witness.patience_s = self.broker.vices.slow_s

    def _set_doors(self) -> None:
        chance = self.world.chance("faults")
        for door in self.doors.values():
            if Fault.SMALL_OUTBOX in self.kinds:
                door.capacity = 60
            if Fault.CLOCK_OFF in self.kinds:
                door.clock.jump(chance.uniform(-20.0, 20.0))
            if Fault.BOOT_1970 in self.kinds:
                door.boots_wrong = "1970"
            elif Fault.BOOT_LAGS in self.kinds:
                door.boots_wrong = "lags"

    def _again(self, kind: Fault) -> None:
        wait_s = self.world.chance(f"faults/{kind.value}").expovariate(1 / _EVERY_S[kind])
        self.world.after(wait_s * self.pace, lambda: self._strike(kind))

    def _strike(self, kind: Fault) -> None:
        if not self.is_over:
            if self.world.now_s >= self.from_s:
                self._does[kind]()
            self._again(kind)

    def _on_tap(self, door: DoorId) -> None:
        """Somebody stands at a door: that is when a fault does the most harm."""
        chance = self.world.chance("faults/tap")
        here = [kind for kind in _AT_TAPS if kind in self.kinds]
        if here and not self.is_over and chance.random() < _AT_TAP:
            kind = chance.choice(here)
            self.world.count("fault_at_tap")
            self.world.after(chance.choice([0.0, 0.01, 0.3, 0.6]), lambda: self._aimed(kind, door))

    def _aimed(self, kind: Fault, door: DoorId) -> None:
        if not self.is_over:
            self._aim = door
            self._does[kind]()
            self._aim = None

    def _later(self, seconds: float, what: Callable[[], None]) -> None:
        """Undo something later, unless all has been mended before."""
        self.world.after(seconds, lambda: None if self.is_over else what())

    def _cut(self) -> None:
        chance = self.world.chance("faults/cut")
        self.world.count("cut")
        door = self._door("cut")
        whole = chance.random() < 0.2  # noqa: PLR2004
        self.witness.disturbed(None if whole else door.id)
        link = self.server.link if whole else door.link
        if link is None or link.is_cut:
            return
        link.cut()
        self._later(chance.choice([3.0, 60.0, 1800.0]), lambda: self._uncut(door, is_whole=whole))

    def _uncut(self, door: DoorNode, *, is_whole: bool) -> None:
        link = self.server.link if is_whole else door.link
        self.witness.disturbed(None if is_whole else door.id)
        if link is not None:
            link.heal()

    def _reset(self) -> None:
        door = self._door("reset")
        self.witness.disturbed(door.id)
        if door.link is not None and not door.link.is_cut:
            self.world.count("reset")
            door.link.broken("reset by peer")

    def _broker(self) -> None:
        if self.broker.is_up:
            self.world.count("broker_restart")
            self.witness.disturbed()
            self.broker.restart(self.world.chance("faults/broker").choice([0.5, 10.0, 300.0]))

    def _garbage(self) -> None:
        chance = self.world.chance("faults/garbage")
        door = self._door("garbage")
        self.world.count("garbage")
        payload = chance.choice([b"", b"{", b"\xff\xfe", b'{"seq":-1}', b"[" * 50_000, b"null"])
        topic = of_door(SITE, door.id, chance.choice([DECISION, COMMAND, "journal", "state"]))
        self.broker.publish(Outgoing(topic=topic, payload=payload))

    def _kill(self) -> None:
        self.witness.disturbed()
        self.server.kill()
        self._later(self.world.chance("faults/server").choice([2.0, 30.0, 1200.0]), self._revive)

    def _revive(self) -> None:
        self.witness.disturbed()
        self.server.start()

    def _stall_server(self) -> None:
        self.world.count("server_stall")
        self.witness.disturbed()
        seconds = self.world.chance("faults/server_stall").choice([0.3, 0.45, 2.0, 60.0])
        self.server.stall(seconds)
        self._later(seconds, self.witness.disturbed)

    def _refuse_books(self) -> None:
        self.witness.disturbed()
        self.server.books.is_refusing = True
        seconds = self.world.chance("faults/ledger").choice([0.2, 30.0, 300.0])
        self._later(seconds, self._accept_books)

    def _accept_books(self) -> None:
        self.witness.disturbed()
        self.server.books.is_refusing = False

    def _die_in_commit(self) -> None:
        self.witness.disturbed()
        self.server.books.dies = self.world.chance("faults/mid_commit").choice(["before", "after"])

    def _power(self) -> None:
        door = self._door("power")
        door.power_off()
        seconds = self.world.chance("faults/power").choice([1.0, 20.0, 600.0, 14_400.0])
        self._later(seconds, door.power_on)

    def _power_in_write(self) -> None:
        door = self._door("mid_write")
        door.platter.cut_in = self.world.chance("faults/mid_write").random() < 0.5  # noqa: PLR2004

    def _refuse_disk(self) -> None:
        door = self._door("disk")
        self.world.count("disk_refuses")
        self.world.tell(door.id, "disk refuses")
        door.platter.is_refusing = True
        seconds = self.world.chance("faults/disk").choice([1.0, 60.0, 600.0])
        self._later(seconds, lambda: self._accept_disk(door))

    def _accept_disk(self, door: DoorNode) -> None:
        self.world.tell(door.id, "disk accepts")
        door.platter.is_refusing = False

    def _stall(self) -> None:
        door = self._door("stall")
        self.world.count("stall")
        self.witness.disturbed(door.id)
        door.stall(self.world.chance("faults/stall").choice([0.1, 0.39, 0.41, 1.2]))

    def _reader(self) -> None:
        door = self._door("reader")
        reader = self.world.chance("faults/reader").choice(door.readers)
        self.world.count("reader_failed")
        door.failed.add(reader)
        door.post(ReaderFailed(reader=reader.value, error="silent"))
        self._later(120.0, lambda: self._mend_reader(door, reader))

    def _mend_reader(self, door: DoorNode, reader: Reader) -> None:
        door.failed.discard(reader)
        door.post(ReaderRecovered(reader=reader.value))

    def _jump(self) -> None:
        door = self._door("clock_jump")
        self.world.count("clock_jump")
        seconds = self.world.chance("faults/clock_jump").choice(
            [-10 * 365 * 86400.0, -3600.0, -90.0, 90.0, 3600.0, 86400.0]
        )
        door.clock.jump(seconds)
        self.world.tell(door.id, "clock jumps", f"{seconds:+.0f} s")

    def _staff(self) -> None:
        """Staff changes something in mid-evening."""
        chance = self.world.chance("faults/staff")
        what = chance.choice(["revoke", "revoke", "suspend", "hours", "withdraw"])
        member = chance.choice([m for m in self.rules.cards if not m.startswith("staff")])
        if what == "revoke":
            self.rules.revoke(self.rules.cards[member])
        elif what == "suspend":
            self.rules.suspend(member)
        elif what == "hours":
            self._change_hours(chance.uniform(-30, 90))
        else:
            self.rules.withdraw(member)
        self.world.count(f"staff_{what}")
        self.world.tell("staff", what, member)
        self.server.rules_changed()

    def _change_hours(self, minutes: float) -> None:
        """Close earlier or later than now; at night there is nothing to change."""
        today = self.world.now.astimezone(ZONE)
        if today.hour in _AFTERNOON:
            closes = (today + timedelta(minutes=minutes)).time()
            self.rules.close_at(today.date(), closes.replace(microsecond=0))

    def _fire(self) -> None:
        """The panel frees every door by wire, until somebody resets it by hand."""
        if any(door.is_fire for door in self.doors.values()):
            return
        self.world.count("fire")
        self.world.tell("panel", "fire alarm")
        for door in self.doors.values():
            door.fire(is_on=True)
        self.on_fire()
        lasts_s = self.world.chance("faults/fire").choice([20.0, 600.0, 7200.0])
        self._later(lasts_s, self._reset_panel)

    def _reset_panel(self) -> None:
        burning = [door for door in self.doors.values() if door.is_fire]
        if burning:
            self.world.tell("panel", "is reset")
        for door in burning:
            door.fire(is_on=False)

    def _command(self) -> None:
        """Staff orders something of a door; now and then it is left in the broker for ever."""
        chance = self.world.chance("faults/commands")
        door = self._door("commands")
        now = self.server.clock.now()
        command = Command(
            id=_uuid(chance.getrandbits(122)),
            at=now,
            expires=now + timedelta(seconds=10),
            do=chance.choice(["unlock", "unlock", "hold", "release", "lockdown", "lift"]),
            by=MemberId("staff-0"),
            sig="",
        )
        signed = sign_command(command, SITE, door.id, self.sign)
        topic = of_door(SITE, door.id, COMMAND)
        self.witness.door(door.id).commands[command.id] = command.expires
        self.world.count(f"command_{command.do}")
        self.world.tell("desk", "orders", f"{command.do} at {door.id}")
        if Fault.PLANTED in self.kinds:
            self.world.count("planted_command")
            self.broker.planted[topic] = encode(signed)
        other = chance.choice(list(self.doors))
        self.broker.publish(Outgoing(topic=topic, payload=encode(signed)))
        # Somebody who listens in plays it to another door, and again to this one, later.
        self.broker.publish(Outgoing(topic=of_door(SITE, other, COMMAND), payload=encode(signed)))
        replay = Outgoing(topic=topic, payload=encode(signed))
        self._later(chance.choice([1.0, 7.0, 600.0]), lambda: self.broker.publish(replay))

    def _door(self, stream: str) -> DoorNode:
        if self._aim is not None:
            return self.doors[self._aim]
        return self.world.chance(f"faults/{stream}").choice(list(self.doors.values()))


def _uuid(number: int) -> str:
    text = f"{number:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
