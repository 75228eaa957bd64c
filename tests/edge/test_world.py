"""The world round a simulated door: people tap, push and leave, over the real socket."""

import json
import socket
import stat
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest

from edge.hardware.input_gpiozero import GpiozeroInput
from edge.hardware.lock_gpiozero import GpiozeroLock
from edge.hardware.reader_mfrc522 import Mfrc522Reader
from edge.hardware.signals_gpiozero import GpiozeroSignals
from edge.ports import Signal
from edge.presentation import CardRead, ReaderEvent, ReaderFailed
from edge.reading import ReaderWatch
from edge.simulated.bus import detach, install
from edge.simulated.chip import Chip
from edge.simulated.client import (
    DoorRefusedError,
    DoorSilentError,
    NoSuchDoorError,
    ask,
    tap,
)
from edge.simulated.clock import RealClock
from edge.simulated.messages import Answer, BreakReader, Contact, ExitButton, Look, Push
from edge.simulated.pins import SimulatedPins
from edge.simulated.surroundings import Wire, Wiring
from edge.simulated.world import World, WorldInUseError

WaitUntil = Callable[[Callable[[], bool]], None]
KNOWN = bytes.fromhex("04112233445566")
UNKNOWN = bytes.fromhex("deadbeef")
BUS = 8
WIRING = Wiring(
    lock=Wire(pin=17, active_high=True),
    contact=Wire(pin=27, active_high=True),
    exit_button=Wire(pin=4, active_high=False),
    red=Wire(pin=22, active_high=True),
    green=Wire(pin=23, active_high=True),
    blue=Wire(pin=24, active_high=True),
    buzzer=18,
)


class Porter:
    """A door of the simplest kind, of the real adapters: it knows one card and locks on opening."""

    def __init__(self, pins: SimulatedPins) -> None:
        self.events: list[ReaderEvent] = []
        self.changes: list[tuple[str, bool]] = []
        self.lock = GpiozeroLock(pin=17, active_high=True, pin_factory=pins)
        self.contact = GpiozeroInput(pin=27, active_high=True, pin_factory=pins)
        self.button = GpiozeroInput(pin=4, active_high=False, pin_factory=pins)
        self.signals = GpiozeroSignals(
            red=22, green=23, blue=24, buzzer=18, active_high=True, pin_factory=pins
        )
        self.contact.on_change(self._on_contact)
        self.button.on_change(lambda on: self.changes.append(("button", on)))
        reader = Mfrc522Reader(bus=BUS, device=0)
        self.watch = ReaderWatch(name="in", reader=reader, on_event=self._on_event, poll_s=0.02)
        self.watch.start()

    def _on_contact(self, is_open: bool) -> None:  # noqa: FBT001 - as the port calls it
        self.changes.append(("contact", is_open))
        if not is_open:
            self.lock.lock()
            self.signals.show(Signal.IDLE)

    def _on_event(self, event: ReaderEvent) -> None:
        self.events.append(event)
        if not isinstance(event, CardRead):
            return
        if event.uid == KNOWN:
            self.lock.unlock()
            self.signals.show(Signal.GRANTED)
        else:
            self.signals.show(Signal.REFUSED)

    def close(self) -> None:
        for part in (self.watch, self.button, self.contact, self.signals, self.lock):
            part.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    path: Path
    porter: Porter
    chip: Chip


@pytest.fixture
def world(tmp_path: Path, pins: SimulatedPins) -> Iterator[tuple[Path, Chip]]:
    """A door with nobody behind it: no software drives its lock."""
    chip = Chip(clock=RealClock())
    install({(BUS, 0): chip})
    path = tmp_path / "door.sock"
    with World(path, chips={"in": chip}, wiring=WIRING, pins=pins):
        yield path, chip
    detach(BUS, 0)


@pytest.fixture
def door(world: tuple[Path, Chip], pins: SimulatedPins) -> Iterator[Door]:
    porter = Porter(pins)
    yield Door(path=world[0], porter=porter, chip=world[1])
    porter.close()


def say(path: Path, raw: bytes) -> dict[str, object]:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(10)
        connection.connect(str(path))
        connection.sendall(raw)
        with connection.makefile("rb") as answers:
            answer = json.loads(answers.readline())
    assert isinstance(answer, dict)
    return answer


def test_a_member_taps_and_walks_in(door: Door, wait_until: WaitUntil) -> None:
    answer = tap(door.path, uid=KNOWN, open_ms=80)
    assert answer == Answer(ok=True, lock="unlocked", opened=True, signal="granted")
    wait_until(lambda: door.porter.changes == [("contact", True), ("contact", False)])
    wait_until(lambda: not door.porter.lock.is_unlocked)
    assert door.porter.events == [CardRead(reader="in", uid=KNOWN)]


def test_a_stranger_is_refused_and_stays_outside(door: Door) -> None:
    answer = tap(door.path, uid=UNKNOWN)
    assert answer == Answer(ok=True, lock="locked", opened=False, signal="refused")
    assert door.porter.changes == []


def test_a_member_who_does_not_push_leaves_the_door_closed(door: Door) -> None:
    answer = tap(door.path, uid=KNOWN, push=False)
    assert (answer.lock, answer.opened) == ("unlocked", False)
    assert door.porter.changes == []


def test_the_card_is_taken_away_as_soon_as_the_door_answers(door: Door) -> None:
    begun_s = time.monotonic()
    tap(door.path, uid=UNKNOWN, hold_ms=60_000, wait_ms=60_000)
    assert time.monotonic() - begun_s < 5
    assert door.chip.card is None


def test_a_stranger_right_after_a_member_is_refused(door: Door) -> None:
    tap(door.path, uid=KNOWN, open_ms=80)
    assert tap(door.path, uid=UNKNOWN).signal == "refused"


def test_a_door_that_does_not_answer_lets_the_person_give_up(world: tuple[Path, Chip]) -> None:
    begun_s = time.monotonic()
    answer = tap(world[0], uid=KNOWN, wait_ms=200)
    assert answer == Answer(ok=True, lock="locked", opened=False)
    assert 0.2 <= time.monotonic() - begun_s < 2


def test_people_at_one_door_queue(door: Door) -> None:
    uids = [KNOWN, UNKNOWN, KNOWN[:-1] + b"\x67"]
    answers: dict[bytes, Answer] = {}

    def present(uid: bytes) -> None:
        answers[uid] = tap(door.path, uid=uid, open_ms=80)

    people = [threading.Thread(target=present, args=(uid,)) for uid in uids]
    for person in people:
        person.start()
    for person in people:
        person.join()
    assert {uid: answers[uid].signal for uid in uids} == {
        uids[0]: "granted",
        uids[1]: "refused",
        uids[2]: "refused",
    }


def test_pushing_opens_only_an_unlocked_door(door: Door) -> None:
    assert ask(door.path, Push(open_ms=80)) == Answer(ok=True, lock="locked", opened=False)
    door.porter.lock.unlock()
    assert ask(door.path, Push(open_ms=80)) == Answer(ok=True, lock="unlocked", opened=True)


def test_the_exit_button_always_lets_people_out(door: Door, wait_until: WaitUntil) -> None:
    answer = ask(door.path, ExitButton())
    assert (answer.ok, answer.opened) == (True, True)
    wait_until(lambda: len(door.porter.changes) == 4)
    assert sorted(door.porter.changes) == [
        ("button", False),
        ("button", True),
        ("contact", False),
        ("contact", True),
    ]
    assert door.porter.changes[0] == ("button", True)


def test_a_door_forced_open_is_seen_by_its_contact(door: Door, wait_until: WaitUntil) -> None:
    assert ask(door.path, Contact(open=True)).contact == "open"
    wait_until(lambda: door.porter.changes == [("contact", True)])
    assert ask(door.path, Contact(open=False)).contact == "closed"


def test_a_broken_reader_is_noticed_and_mended(door: Door, wait_until: WaitUntil) -> None:
    ask(door.path, BreakReader(reader="in", on=True))
    wait_until(lambda: door.porter.watch.is_failed)
    ask(door.path, BreakReader(reader="in", on=False))
    wait_until(lambda: not door.porter.watch.is_failed)
    assert isinstance(door.porter.events[0], ReaderFailed)
    assert tap(door.path, uid=KNOWN, open_ms=80).signal == "granted"


def test_looking_tells_lock_contact_light_and_buzzer(door: Door, wait_until: WaitUntil) -> None:
    assert ask(door.path, Look()) == Answer(ok=True, lock="locked", contact="closed", light="dark")
    door.porter.lock.unlock()
    door.porter.signals.show(Signal.GRANTED)
    wait_until(lambda: ask(door.path, Look()).buzzer_hz == 880.0)
    wait_until(lambda: ask(door.path, Look()).buzzer_hz is None)
    assert ask(door.path, Look()) == Answer(
        ok=True, lock="unlocked", contact="closed", light="green", signal="granted"
    )


def test_the_lines_are_plain_json(door: Door) -> None:
    line = {"do": "tap", "reader": "in", "uid": UNKNOWN.hex(), "hold_ms": 300, "push": True}
    answer = say(door.path, json.dumps(line).encode() + b"\n")
    assert answer == {"ok": True, "lock": "locked", "opened": False, "signal": "refused"}


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (b"\n", "truncated"),
        (b'{"do":"tap"\n', "truncated"),
        (b"\xff\xfe\n", "malformed"),
        (b"[]\n", "array"),
        (b'{"do":"dance"}\n', "dance"),
        (b'{"do":"tap","reader":"in"}\n', "uid"),
        (b'{"do":"tap","reader":"in","uid":"0411"}\n', "regex"),
        (b'{"do":"tap","reader":"in","uid":"88112233"}\n', "cascade tag"),
        (b'{"do":"tap","reader":"out","uid":"04112233"}\n', "no reader 'out': this door has in"),
        (b'{"do":"tap","reader":"in","uid":"04112233","hold_ms":-1}\n', "hold_ms"),
        (b'{"do":"tap","reader":"in","uid":"04112233","hod_ms":1}\n', "hod_ms"),
        (b'{"do":"fault","reader":"back","on":true}\n', "no reader 'back'"),
        (b'{"do":"contact","open":"yes"}\n', "open"),
        (b"x" * 5000 + b"\n", "4096"),
    ],
)
def test_bad_input_is_answered_and_changes_nothing(
    world: tuple[Path, Chip], raw: bytes, why: str
) -> None:
    before = ask(world[0], Look())
    answer = say(world[0], raw)
    assert answer["ok"] is False
    assert why in str(answer["error"])
    assert (ask(world[0], Look()), world[1].card) == (before, None)


def test_one_connection_may_say_many_lines(world: tuple[Path, Chip]) -> None:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(10)
        connection.connect(str(world[0]))
        connection.sendall(b'{"do":"look"}\nnonsense\n{"do":"look"}\n')
        with connection.makefile("rb") as answers:
            oks = [json.loads(answers.readline())["ok"] for _ in range(3)]
    assert oks == [True, False, True]


def test_the_socket_is_for_its_owner_alone(world: tuple[Path, Chip]) -> None:
    assert stat.S_IMODE(world[0].stat().st_mode) == 0o600


def test_closing_sends_people_away_and_removes_the_socket(
    tmp_path: Path, pins: SimulatedPins, wait_until: WaitUntil
) -> None:
    chip = Chip(clock=RealClock())
    path = tmp_path / "door.sock"
    world = World(path, chips={"in": chip}, wiring=WIRING, pins=pins)
    errors: list[str] = []

    def present() -> None:
        try:
            tap(path, uid=KNOWN, hold_ms=60_000, wait_ms=60_000)
        except (DoorRefusedError, NoSuchDoorError) as error:
            errors.append(str(error))

    person = threading.Thread(target=present)
    person.start()
    wait_until(lambda: chip.card is not None)
    with socket.socket(socket.AF_UNIX) as idler:
        idler.connect(str(path))
        world.close()
        world.close()
    person.join(5)
    assert len(errors) == 1
    assert chip.card is None
    assert not path.exists()


def test_where_no_door_runs_the_client_says_so(tmp_path: Path) -> None:
    with pytest.raises(NoSuchDoorError, match="no simulated door is running at"):
        tap(tmp_path / "nowhere.sock", uid=KNOWN)
    assert issubclass(NoSuchDoorError, ConnectionError)


def test_a_door_that_is_silent_is_not_waited_for_for_ever(world: tuple[Path, Chip]) -> None:
    with pytest.raises(DoorSilentError, match=r"0\.05 s"):
        tap(world[0], uid=KNOWN, wait_ms=1_000, hold_ms=1_000, timeout_s=0.05)


@pytest.mark.parametrize(
    ("reader", "uid", "why"),
    [("back", KNOWN, "no reader 'back'"), ("in", b"abc", "uid"), ("in", b"\x88abc", "cascade")],
)
def test_a_line_that_is_refused_is_an_error_with_the_reason(
    world: tuple[Path, Chip], reader: str, uid: bytes, why: str
) -> None:
    with pytest.raises(DoorRefusedError, match=why):
        tap(world[0], reader=reader, uid=uid)


def test_a_door_with_fewer_parts_says_what_it_lacks(tmp_path: Path, pins: SimulatedPins) -> None:
    path = tmp_path / "door.sock"
    wiring = Wiring(lock=Wire(pin=17, active_high=True))
    with World(path, chips={}, wiring=wiring, pins=pins):
        assert ask(path, Look()).contact == "none"
        with pytest.raises(DoorRefusedError, match="no contact"):
            ask(path, Contact(open=True))
        with pytest.raises(DoorRefusedError, match="no exit button"):
            ask(path, ExitButton())


def test_a_socket_that_was_left_behind_is_replaced(tmp_path: Path, pins: SimulatedPins) -> None:
    path = tmp_path / "door.sock"
    with socket.socket(socket.AF_UNIX) as left_behind:
        left_behind.bind(str(path))
    with World(path, chips={}, wiring=WIRING, pins=pins):
        assert ask(path, Look()).ok


def test_a_door_that_runs_and_a_file_that_is_no_socket_are_not_replaced(
    world: tuple[Path, Chip], tmp_path: Path, pins: SimulatedPins
) -> None:
    with pytest.raises(WorldInUseError, match="already running"):
        World(world[0], chips={}, wiring=WIRING, pins=pins)
    letter = tmp_path / "letter"
    letter.write_text("dear Ada")
    with pytest.raises(WorldInUseError, match="no socket"):
        World(letter, chips={}, wiring=WIRING, pins=pins)
    assert letter.read_text() == "dear Ada"


def test_answers_leave_out_what_does_not_apply() -> None:
    assert msgspec.json.encode(Answer(ok=True)) == b'{"ok":true}'


def test_the_case_of_the_unit_is_closed_from_the_start(tmp_path: Path, pins: SimulatedPins) -> None:
    wiring = Wiring(
        lock=Wire(pin=17, active_high=True),
        contact=Wire(pin=27, active_high=True),
        tamper=Wire(pin=5, active_high=True),
    )
    with (
        World(tmp_path / "door.sock", chips={}, wiring=wiring, pins=pins),
        GpiozeroInput(pin=27, active_high=True, pin_factory=pins) as contact,
        GpiozeroInput(pin=5, active_high=True, pin_factory=pins) as tamper,
    ):
        assert not contact.is_active
        assert not tamper.is_active


def test_a_path_too_long_for_a_socket_is_an_error(tmp_path: Path, pins: SimulatedPins) -> None:
    with pytest.raises(OSError, match="too long"):
        World(tmp_path / ("x" * 120), chips={}, wiring=WIRING, pins=pins)
