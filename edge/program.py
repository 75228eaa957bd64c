"""Where a door unit's parts meet: what `gardien door` runs."""

import contextlib
import importlib.metadata
import threading
from collections.abc import Callable
from typing import Final

import uuid6

from access.ids import DoorId, RequestId, SiteId
from access.model import Reader
from edge.badges.meeting import Cards
from edge.badges.wish import Want, Wish
from edge.card_keys import site_keys
from edge.condition import Rules
from edge.door import Door
from edge.events import (
    ContactChanged,
    ExitButton,
    Faulted,
    FireChanged,
    Started,
    TamperChanged,
)
from edge.hardware.thermometer import temperature_c
from edge.mailbox import Mailbox
from edge.memory import recall
from edge.outbox import Outbox
from edge.parts import Parts, lock_and_leave, open_parts
from edge.postroom import last_will
from edge.presentation import ReaderEvent
from edge.settings import DoorUnitSettings
from edge.unit import DoorUnit
from runtime.clock import Clock, clock_from
from runtime.keys import read_badge_key, verifier
from runtime.link_paho import Login, PahoLink
from runtime.settings import read_secret

_DISTRIBUTION: Final = "gardien"


def run(
    settings: DoorUnitSettings,
    stop: threading.Event,
    on_turn: Callable[[], None] = lambda: None,
) -> bool:
    """Run a door unit until it is told to stop; blocks. Its lock is locked at the end.

    Args:
        settings: of the unit.
        stop: set by whoever handles SIGTERM and SIGINT; the unit ends within a second or two.
        on_turn: called at least twice a second while all is well, for a watchdog.

    Returns:
        Whether it ended because a restart was ordered.

    Raises:
        SettingsError: a secret can't be read.
        KeyFileError: a key can't be read.
        ClockError: the demonstration's clock can't be read.
        OutboxError: the outbox can be neither opened nor set aside.
        LibraryMissingError: a library that the hardware needs is absent.
        PinsError: a pin can't be used.
        LinkError: the link can't be set up as asked.
    """
    with contextlib.ExitStack() as stack:
        # The hardware first: from here on the lock is locked, whatever else fails.
        later = _Later()
        parts = open_parts(
            settings,
            stack=stack,
            on_reader=later.on_reader,
            on_fuse=later.on_fuse,
            cards=lambda: _cards(settings, later),
        )
        site, door = SiteId(settings.site), DoorId(settings.door)
        outbox = stack.enter_context(Outbox(settings.outbox, site=site, door=door))
        mailbox = Mailbox(site=site, door=door, verify=verifier(settings.server_key_file))
        later.unit = unit = _make_unit(
            settings,
            parts=parts,
            outbox=outbox,
            mailbox=mailbox,
            clock=_open_clock(settings, stack),
            on_turn=on_turn,
        )
        _connect_wires(unit, parts)
        unit.connect(stack.enter_context(_open_link(settings, unit, mailbox)))
        for reader in parts.readers.values():
            stack.enter_context(reader)
        return unit.run(stop, _started(parts, outbox))


def make_safe(settings: DoorUnitSettings) -> None:
    """Lock the door and leave, after a unit that died: what systemd runs as `ExecStopPost`.

    Raises:
        LibraryMissingError: a library that the pins need is absent.
        PinsError: the pin can't be used.
    """
    lock_and_leave(settings)


def version() -> str:
    """Give the version of the program that is installed."""
    try:
        return importlib.metadata.version(_DISTRIBUTION)
    except importlib.metadata.PackageNotFoundError:
        return "0"


class _Later:
    """Passes on what the hardware says to a unit that is made after it."""

    unit: DoorUnit | None = None

    def on_reader(self, event: ReaderEvent) -> None:
        if self.unit is not None:
            self.unit.post(event)

    def on_fuse(self) -> None:
        if self.unit is not None:
            self.unit.post(Faulted())

    def wish(self, reader: str, uid: bytes) -> Wish:
        return Want.UID if self.unit is None else self.unit.wish(reader, uid)


def _cards(settings: DoorUnitSettings, later: _Later) -> Cards | None:
    keys = site_keys(settings)
    return None if keys is None else Cards(keys=keys, ask=later.wish)


def _open_clock(settings: DoorUnitSettings, stack: contextlib.ExitStack) -> Clock:
    clock = clock_from(settings.clock)
    if isinstance(clock, contextlib.AbstractContextManager):
        stack.enter_context(clock)
    return clock


def _make_unit(
    settings: DoorUnitSettings,
    *,
    parts: Parts,
    outbox: Outbox,
    mailbox: Mailbox,
    clock: Clock,
    on_turn: Callable[[], None],
) -> DoorUnit:
    kept = recall(outbox, mailbox.verify)
    return DoorUnit(
        door=Door(rules=_rules(settings), new_id=_new_id, kept=kept),
        outbox=outbox,
        lock=parts.lock,
        signals=parts.signals,
        display=parts.display,
        temperature_c=temperature_c,
        mailbox=mailbox,
        badge_key=read_badge_key(settings.badge_key_file),
        clock=clock,
        version=version(),
        on_turn=on_turn,
    )


def _rules(settings: DoorUnitSettings) -> Rules:
    timing = settings.timing
    return Rules(
        site=SiteId(settings.site),
        door=DoorId(settings.door),
        readers=tuple(Reader(reader.id) for reader in settings.hardware.readers),
        decision_timeout_s=timing.decision_timeout.total_seconds(),
        held_after_s=timing.held_after.total_seconds(),
        exit_stuck_s=timing.exit_stuck.total_seconds(),
        has_contact=settings.hardware.contact is not None,
        clock_may_leap=settings.clock.demo_file is not None,
        clock_is_kept=settings.keeps_time,
    )


def _connect_wires(unit: DoorUnit, parts: Parts) -> None:
    if parts.contact is not None:
        parts.contact.on_change(lambda is_open: unit.post(ContactChanged(is_open=is_open)))
    if parts.exit_button is not None:
        parts.exit_button.on_change(lambda is_on: unit.post(ExitButton(is_pressed=is_on)))
    if parts.tamper is not None:
        parts.tamper.on_change(lambda is_open: unit.post(TamperChanged(is_open=is_open)))
    if parts.fire is not None:
        parts.fire.on_change(lambda is_on: unit.post(FireChanged(is_on=is_on)))


def _started(parts: Parts, outbox: Outbox) -> Started:
    return Started(
        version=version(),
        is_open=parts.contact is not None and parts.contact.is_active,
        is_exit_pressed=parts.exit_button is not None and parts.exit_button.is_active,
        is_case_open=parts.tamper is not None and parts.tamper.is_active,
        lost_outbox=outbox.lost,
        is_fire=parts.fire is not None and parts.fire.is_active,
    )


def _open_link(settings: DoorUnitSettings, unit: DoorUnit, mailbox: Mailbox) -> PahoLink:
    mqtt = settings.mqtt
    password = read_secret(mqtt.password_file) if mqtt.password_file is not None else None
    return PahoLink(
        host=mqtt.host,
        port=mqtt.port,
        client_id=settings.client_name,
        login=Login(
            username=mqtt.username,
            password=password,
            ca_file=mqtt.ca_file,
            certificate_file=mqtt.certificate_file,
            key_file=mqtt.key_file,
        ),
        wishes=mailbox.wishes(),
        will=last_will(mailbox.site, mailbox.door),
        on_event=unit.post,
    )


def _new_id() -> RequestId:
    return RequestId(str(uuid6.uuid7()))
