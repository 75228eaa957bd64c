"""What `door.toml` says: the settings of one door unit and of the hardware on its pins."""

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta, field

from runtime.settings import MqttSettings, RuleError, Settings, Slug, load_settings
from runtime.written import Between, ClockChoice, Duration

# BCM numbers of the 40-pin header. 0 and 1 are left out: a HAT's EEPROM answers there at boot.
Pin = Annotated[int, Meta(ge=2, le=27)]
Active = Literal["low", "high"]

# The pins that the kernel's SPI driver takes for itself once a bus is switched on.
_SPI_PINS = {
    0: {7: "CE1", 8: "CE0", 9: "MISO", 10: "MOSI", 11: "SCLK"},
    1: {16: "CE2", 17: "CE1", 18: "CE0", 19: "MISO", 20: "MOSI", 21: "SCLK"},
}


class TimingSettings(Settings, frozen=True, kw_only=True):
    """How long things take at the door.

    Attributes:
        decision_timeout: how long the server may take before the door decides, 50 ms to 2 s.
        rearm: how long the same badge is not read again, 100 ms to 60 s.
        debounce: how long an input must be steady to count, up to 400 ms.
        held_after: how long the door may stand open before it is `held`, 10 s to 1 h.
        exit_stuck: how long the exit button may be down before it counts as stuck, 5 s to 1 h.
    """

    decision_timeout: Annotated[Duration, Between("50 ms", "2 s")] = Duration(milliseconds=400)
    rearm: Annotated[Duration, Between("100 ms", "60 s")] = Duration(seconds=1)
    debounce: Annotated[Duration, Between("0 ms", "400 ms")] = Duration(milliseconds=50)
    held_after: Annotated[Duration, Between("10 s", "1 h")] = Duration(seconds=30)
    exit_stuck: Annotated[Duration, Between("5 s", "1 h")] = Duration(seconds=60)


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


class ReaderSettings(Settings, frozen=True, kw_only=True):
    """One badge reader.

    Attributes:
        id: "in" outside the door, "out" inside it.
        driver: the chip.
        bus: SPI bus, 0 or 1.
        device: chip select on that bus, 0 to 2 (bus 0 has 0 and 1).
        reset_pin: BCM number of the chip's RST, where it is wired.
    """

    id: Literal["in", "out"]
    driver: Literal["mfrc522"]
    bus: Annotated[int, Meta(ge=0, le=1)]
    device: Annotated[int, Meta(ge=0, le=2)]
    reset_pin: Pin | None = None

    def __post_init__(self) -> None:
        """Refuse a chip select that the bus does not have."""
        if self.bus == 0 and self.device > 1:
            raise RuleError("SPI bus 0 has the devices 0 and 1; write one of them", field="device")


class InputSettings(Settings, frozen=True, kw_only=True):
    """One wire that is on or off.

    Attributes:
        pin: BCM number.
        active: the level that means yes: open door, pressed button, opened case.
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


class SimulatedSettings(Settings, frozen=True, kw_only=True):
    """The simulated hardware: the Unix socket on which badges and hands are played."""

    socket: Path


class HardwareSettings(Settings, frozen=True, kw_only=True):
    """What is wired to the unit.

    Attributes:
        backend: "raspberry-pi", or "simulated" for an emulated chip and pins. No default.
        lock: the relay.
        readers: one or two.
        contact: says that the door is open.
        exit_button: sees (and only sees) the request to exit.
        tamper: says that the case is open.
        light: the three colours.
        buzzer: the sound.
        simulated: needed by the simulated backend, and by it only.
    """

    backend: Literal["raspberry-pi", "simulated"]
    lock: LockSettings
    readers: tuple[ReaderSettings, ...] = field(name="reader")
    contact: InputSettings | None = None
    exit_button: InputSettings | None = None
    tamper: InputSettings | None = None
    light: LightSettings | None = None
    buzzer: BuzzerSettings | None = None
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
        if len({(reader.bus, reader.device) for reader in self.readers}) < len(self.readers):
            raise RuleError("two readers share bus and device; change device", field="reader")

    def _users_by_pin(self) -> dict[int, list[str]]:
        users: defaultdict[int, list[str]] = defaultdict(list)
        for pin, user in self._pins():
            users[pin].append(user)
        return users

    def _pins(self) -> Iterator[tuple[int, str]]:
        yield self.lock.pin, "hardware.lock"
        inputs = {"contact": self.contact, "exit_button": self.exit_button, "tamper": self.tamper}
        for name, part in (*inputs.items(), ("buzzer", self.buzzer)):
            if part is not None:
                yield part.pin, f"hardware.{name}"
        if self.light is not None:
            light = {"red": self.light.red, "green": self.light.green, "blue": self.light.blue}
            yield from ((pin, f"hardware.light.{name}") for name, pin in light.items() if pin)
        for reader in self.readers:
            if reader.reset_pin is not None:
                yield reader.reset_pin, f'hardware.reader["{reader.id}"].reset_pin'
        for bus in sorted({reader.bus for reader in self.readers}):
            for pin, wire in _SPI_PINS[bus].items():
                yield pin, f"SPI bus {bus} ({wire})"


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
