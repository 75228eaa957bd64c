"""What `door.toml` says: the settings of one door unit and of the hardware on its pins."""

import itertools
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta, field

from edge.badges.layout import DEFAULT_SECTORS, LAST_SECTOR
from edge.header import I2C_PINS, SPI_PINS, Active, Pin
from edge.settings_readers import ReaderSettings
from runtime.settings import MqttSettings, RuleError, Settings, Slug, load_settings
from runtime.written import Between, ClockChoice, Duration


class TimingSettings(Settings, frozen=True, kw_only=True):
    """How long things take at the door.

    Attributes:
        decision_timeout: how long the server may take before the door decides, 50 ms to 2 s.
        rearm: how long the same badge is not read again, 100 ms to 60 s.
        debounce: how long an input must be steady to count, up to 400 ms. Shorter pulses are
            ignored; those of over 400 ms always count.
        held_after: how long the door may stand open before it is `held`, 10 s to 1 h.
        exit_stuck: how long the exit button may be down before it counts as stuck, 5 s to 1 h.
    """

    decision_timeout: Annotated[Duration, Between("50 ms", "2 s")] = Duration(milliseconds=400)
    rearm: Annotated[Duration, Between("100 ms", "60 s")] = Duration(seconds=1)
    debounce: Annotated[Duration, Between("0 ms", "400 ms")] = Duration(milliseconds=50)
    held_after: Annotated[Duration, Between("10 s", "1 h")] = Duration(seconds=30)
    exit_stuck: Annotated[Duration, Between("5 s", "1 h")] = Duration(seconds=60)


class CardSettings(Settings, frozen=True, kw_only=True):
    """The badges of level L1 (MIFARE Classic with keys of their own).

    Attributes:
        master_key_file: the site's card master key, 32 random bytes in hex.
        sectors: the two sectors of each card that are ours, 1 to 15. All doors of a site have the
            same; another pair makes all cards strange to them.
    """

    master_key_file: Path
    sectors: tuple[Annotated[int, Meta(ge=1, le=LAST_SECTOR)], ...] = DEFAULT_SECTORS

    def __post_init__(self) -> None:
        """Refuse anything but two different sectors."""
        if len(self.sectors) != len(DEFAULT_SECTORS) or len(set(self.sectors)) == 1:
            raise RuleError("give two different sectors, such as [1, 2]", field="sectors")

    @property
    def pair(self) -> tuple[int, int]:
        """The two sectors."""
        first, second = self.sectors
        return first, second


class LockSettings(Settings, frozen=True, kw_only=True):
    """The relay of the lock. Nothing about it has a default.

    Attributes:
        pin: BCM number of the relay's input.
        active_high: whether a high pin unlocks the door; it follows from the relay board.
        fail: what the lock does without power: "secure" stays locked, "safe" opens.
        kind: "strike" or "magnet"; a magnet is always "safe".
        release_in_hardware: must be true: the exit button and the fire panel cut the lock's power.
    """

    pin: Pin
    active_high: bool
    fail: Literal["secure", "safe"]
    kind: Literal["strike", "magnet"]
    release_in_hardware: bool = False

    def __post_init__(self) -> None:
        """Refuse a wiring in which software could keep somebody in."""
        if not self.release_in_hardware:
            raise RuleError(
                "nothing in software may keep anybody in: wire the exit button and the fire panel "
                "so that they cut the lock's power (docs/wiring.md), then write true",
                field="release_in_hardware",
            )
        if self.kind == "magnet" and self.fail == "secure":
            raise RuleError('a magnet opens without power; write fail = "safe"', field="fail")


class InputSettings(Settings, frozen=True, kw_only=True):
    """One wire that is on or off.

    Attributes:
        pin: BCM number.
        active: the level that means yes: open door, pressed button, opened case, fire.
    """

    pin: Pin
    active: Active


class LightSettings(Settings, frozen=True, kw_only=True):
    """The light: one of three colours, or single ones.

    Attributes:
        red: BCM number; None where there is none.
        green: likewise.
        blue: likewise.
        active_high: whether a high pin lights (common cathode); False is a common anode.
    """

    red: Pin | None = None
    green: Pin | None = None
    blue: Pin | None = None
    active_high: bool = True

    def __post_init__(self) -> None:
        """Refuse a light without any colour."""
        if self.red is None and self.green is None and self.blue is None:
            raise RuleError("a light has a colour at least; give red, green or blue")


class BuzzerSettings(Settings, frozen=True, kw_only=True):
    """The passive buzzer: BCM number of its pin."""

    pin: Pin


class DisplaySettings(Settings, frozen=True, kw_only=True):
    """A small display of 128 by 64 dots on the I2C bus.

    Attributes:
        driver: its chip.
        port: the I2C bus; 1 is that of the header.
        address: on that bus; most answer at 0x3c, some at 0x3d.
        is_upside_down: whether it is mounted with its pins below.
    """

    driver: Literal["ssd1306", "sh1106"]
    port: Annotated[int, Meta(ge=0, le=22)] = 1
    address: Annotated[int, Meta(ge=0x08, le=0x77)] = 0x3C
    is_upside_down: bool = field(default=False, name="upside_down")


class SimulatedSettings(Settings, frozen=True, kw_only=True):
    """The simulated hardware.

    Attributes:
        socket: the Unix socket on which badges and hands are played.
        cards: a folder in which cards keep what is written on them; without it they forget it when
            the unit stops. Doors that share it see the same cards.
    """

    socket: Path
    cards: Path | None = None


class HardwareSettings(Settings, frozen=True, kw_only=True):
    """What is wired to the unit.

    Attributes:
        backend: "raspberry-pi", or "simulated" for an emulated chip and pins. No default.
        lock: the relay.
        readers: one or two.
        contact: says that the door is open.
        exit_button: sees (and only sees) the request to exit.
        tamper: says that the case is open.
        fire: sees (and only sees) that the fire panel has cut the lock's power.
        light: the three colours.
        buzzer: the sound.
        display: a few words.
        simulated: needed by the simulated backend, and by it only.
    """

    backend: Literal["raspberry-pi", "simulated"]
    lock: LockSettings
    readers: tuple[ReaderSettings, ...] = field(name="reader")
    contact: InputSettings | None = None
    exit_button: InputSettings | None = None
    tamper: InputSettings | None = None
    fire: InputSettings | None = None
    light: LightSettings | None = None
    buzzer: BuzzerSettings | None = None
    display: DisplaySettings | None = None
    simulated: SimulatedSettings | None = None

    def __post_init__(self) -> None:
        """Refuse two things on one pin, two readers in one place, and a half-chosen backend."""
        if (self.backend == "simulated") != (self.simulated is not None):
            raise RuleError(
                'backend = "simulated" and the table [hardware.simulated] go together; '
                "write both or neither",
                field="backend",
            )
        self._check_readers()
        for pin, users in self._users_by_pin().items():
            if len(users) > 1:
                raise RuleError(f"pin {pin} is used by {' and '.join(users)}; move one of them")

    def _check_readers(self) -> None:
        if "in" not in [reader.id for reader in self.readers]:
            raise RuleError('a door has a reader with id = "in"; write it', field="reader")
        if len({reader.id for reader in self.readers}) < len(self.readers):
            raise RuleError("two readers have the same id; write one in, one out", field="reader")
        chips = [reader.spi for reader in self.readers if reader.spi is not None]
        if len(set(chips)) < len(chips):
            raise RuleError("two readers share bus and device; change device", field="reader")
        typing = [reader.keyboard for reader in self.readers if reader.keyboard is not None]
        if any(one == other for one, other in itertools.pairwise(typing)):
            raise RuleError("two readers are one device; name each by its path", field="reader")
        if self.backend == "simulated" and typing:
            raise RuleError('a simulated reader has driver = "mfrc522"; write it', field="reader")

    def _users_by_pin(self) -> dict[int, list[str]]:
        users: defaultdict[int, list[str]] = defaultdict(list)
        for pin, user in self._pins():
            users[pin].append(user)
        return users

    def _pins(self) -> Iterator[tuple[int, str]]:
        yield self.lock.pin, "hardware.lock"
        parts = {
            "contact": self.contact,
            "exit_button": self.exit_button,
            "tamper": self.tamper,
            "fire": self.fire,
            "buzzer": self.buzzer,
        }
        for name, part in parts.items():
            if part is not None:
                yield part.pin, f"hardware.{name}"
        if self.light is not None:
            light = {"red": self.light.red, "green": self.light.green, "blue": self.light.blue}
            yield from ((pin, f"hardware.light.{name}") for name, pin in light.items() if pin)
        for reader in self.readers:
            if reader.reset_pin is not None:
                yield reader.reset_pin, f'hardware.reader["{reader.id}"].reset_pin'
        yield from self._bus_pins()

    def _bus_pins(self) -> Iterator[tuple[int, str]]:
        for bus in sorted({reader.spi[0] for reader in self.readers if reader.spi is not None}):
            yield from ((pin, f"SPI bus {bus} ({wire})") for pin, wire in SPI_PINS[bus].items())
        if self.display is not None:
            port = self.display.port
            wires = I2C_PINS.get(port, {})
            yield from ((pin, f"I2C bus {port} ({wire})") for pin, wire in wires.items())


class DoorUnitSettings(Settings, frozen=True, kw_only=True):
    """The whole of `door.toml`.

    Attributes:
        site: slug of the site.
        door: slug of the door in it.
        server_key_file: the server's Ed25519 public key, PEM; policies and commands are signed.
        badge_key_file: the site's badge key, 32 random bytes in hex.
        outbox: the SQLite file that holds records until the server has them.
        clock: where the time comes from.
        keeps_time: whether the clock goes on while the unit is off, by a battery of its own. If it
            does not, the time is in doubt after a start until the server has told it: a door on
            its own then takes all time as after hours.
        mqtt: how the door reaches the broker; its user name there is `<site>.<door>`.
        cards: what the door needs for badges of level L1; without it, it reads UIDs only.
        timing: how long things take.
        hardware: what is wired.
    """

    site: Slug
    door: Slug
    server_key_file: Path
    badge_key_file: Path
    outbox: Path
    clock: ClockChoice = ClockChoice("system")
    keeps_time: bool = False
    mqtt: MqttSettings
    cards: CardSettings | None = None
    timing: TimingSettings = TimingSettings()
    hardware: HardwareSettings

    def __post_init__(self) -> None:
        """Refuse a user name under which the broker would give this door nothing."""
        if self.mqtt.username not in (None, self.client_name):
            raise RuleError(
                f'the broker knows this door as "{self.client_name}"; write that as username',
                field="mqtt.username",
            )

    @property
    def client_name(self) -> str:
        """The door's name to the broker, and the common name of its certificate."""
        return f"{self.site}.{self.door}"


def load_door_settings(path: Path) -> DoorUnitSettings:
    """Read `door.toml`. Blocks for the disk only; touches nothing else.

    Raises:
        SettingsError: the file cannot be used; the message says where and why.
    """
    return load_settings(path, DoorUnitSettings)
