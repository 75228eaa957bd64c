"""A new installation: its folder, settings, keys and the broker's passwords."""

import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import msgspec
from jinja2 import Environment, PackageLoader, StrictUndefined

from access.ids import DoorId, SiteId
from runtime.broker import BrokerClient
from runtime.keys import make_badge_key, make_card_key, make_signing_key, write_secret
from runtime.settings import read_secret
from server.folder import Folder
from server.settings import ServerSettings

SCREEN: Final = "screen"
"""The broker's client that may only read the numbers, for screens and home automation."""

HOME: Final = "home"
"""The broker's client of Home Assistant; it is let in once it has a password."""

_ALL_PLANS: Final = ("nomad", "resident", "staff", "partner")
_TEMPLATES: Final = Environment(
    loader=PackageLoader("gardien", "data"),
    undefined=StrictUndefined,
    keep_trailing_newline=True,
    autoescape=False,  # noqa: S701 (TOML, not HTML: the filter below writes its texts)
)
# A JSON text, or a list of them, is TOML as it stands.
_TEMPLATES.filters["toml"] = lambda value: msgspec.json.encode(value).decode()


class FoundingError(FileExistsError):
    """There is something already where an installation should be made."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DoorPlan:
    """A door of the new installation."""

    id: DoorId
    name: str
    readers: tuple[str, ...] = ("in",)
    plans: tuple[str, ...] = _ALL_PLANS


@dataclass(frozen=True, slots=True, kw_only=True)
class SitePlan:
    """The site of the new installation.

    Attributes:
        hours: windows such as `09:00-18:30` by day (`mon` to `sun`).
        plan_hours: the same, by plan.
    """

    id: SiteId
    name: str
    capacity: int
    doors: tuple[DoorPlan, ...]
    zone: str = "Europe/Paris"
    holidays: str = "FR"
    hours: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    plan_hours: Mapping[str, Mapping[str, tuple[str, ...]]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Founding:
    """What is to be made.

    Attributes:
        listen: host and port of the dashboard.
        clock: `system`, or a demonstration's.
        broker: which program runs the embedded broker, see `runtime.broker`.
        influxdb: the address of the history; empty for the embedded store.
    """

    site: SitePlan
    language: str = "fr"
    mqtt_port: int = 1883
    listen: str = "127.0.0.1:8080"
    clock: str = "system"
    broker: str = "auto"
    influxdb: str = ""


def found(path: Path, plan: Founding) -> Folder:
    """Make an installation in a folder that is new or empty.

    Args:
        path: the folder; made if need be, readable by its owner only.
        plan: what is to be made.

    Returns:
        The folder, with settings, keys and passwords in it. The database is made when it is first
        opened.

    Raises:
        FoundingError: there is something in the folder already; nothing has been touched.
        SettingsError: the settings that come of it can't be used.
    """
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    if any(path.iterdir()):
        raise FoundingError(f"{path} is not empty; name a new folder with --data")
    folder = Folder(path=path)
    for part in ("keys", "secrets", "doors"):
        (path / part).mkdir(mode=0o700)
    make_signing_key(folder.signing_key, folder.public_key)
    make_badge_key(folder.badge_key(plan.site.id))
    make_card_key(card_key_file(path, plan.site.id))
    for name in (SCREEN, "server", *(f"{plan.site.id}.{door.id}" for door in plan.site.doors)):
        make_password(path, name)
    _write(folder.settings_file, "gardien.toml.j2", _values(plan))
    folder.load_settings()
    return folder


def found_simulated_door(folder: Folder, plan: Founding, door: DoorPlan) -> Path:
    """Write the settings of a door on emulated hardware.

    Returns:
        Its `door.toml`.
    """
    home = folder.path / "doors" / door.id
    home.mkdir(mode=0o700)
    file = home / "door.toml"
    _write(
        file,
        "door-simulated.toml.j2",
        {"site": plan.site.id, "door": door, "clock": plan.clock, "mqtt_port": plan.mqtt_port},
    )
    return file


def card_key_file(path: Path, site: SiteId) -> Path:
    """Where the card master key of a site is, which its doors have too; the server needs it not."""
    return path / "keys" / f"{site}.cards.key"


def make_password(path: Path, name: str) -> None:
    """Make the password of one client of the broker.

    Raises:
        FileExistsError: it has one already.
    """
    write_secret(password_file(path, name), secrets.token_urlsafe(24).encode("ascii") + b"\n")


def password_file(path: Path, name: str) -> Path:
    """Where the password of one client of the broker is."""
    return path / "secrets" / f"{name}.password"


def broker_clients(folder: Folder, settings: ServerSettings) -> list[BrokerClient]:
    """Give all that may log in to the embedded broker.

    They are the server, a screen, each door, and Home Assistant where it has a password.

    Raises:
        SettingsError: a password's file can't be read.
    """

    def password(name: str) -> str:
        return read_secret(password_file(folder.path, name))

    server = settings.mqtt.username or "server"
    clients = [
        BrokerClient(
            name=server,
            role="server",
            password=password(server),
            discovery_prefix=settings.home_assistant.prefix,
        ),
        BrokerClient(name=SCREEN, role="screen", password=password(SCREEN)),
    ]
    if settings.home_assistant.enabled and password_file(folder.path, HOME).exists():
        clients.append(
            BrokerClient(
                name=HOME,
                role="home",
                password=password(HOME),
                discovery_prefix=settings.home_assistant.prefix,
            )
        )
    for site in settings.sites:
        for door in site.doors:
            name = f"{site.id}.{door.id}"
            clients.append(
                BrokerClient(
                    name=name, role="door", password=password(name), site=site.id, door=door.id
                )
            )
    return clients


def _values(plan: Founding) -> dict[str, object]:
    """Give the values for the template of the settings."""
    return {
        "site": plan.site,
        "language": plan.language,
        "mqtt_port": plan.mqtt_port,
        "listen": plan.listen,
        "clock": plan.clock,
        "broker": plan.broker,
        "influxdb": plan.influxdb,
    }


def _write(file: Path, template: str, values: Mapping[str, object]) -> None:
    text = _TEMPLATES.get_template(template).render(values)
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as out:
        out.write(text)
