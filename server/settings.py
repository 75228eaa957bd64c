"""What `gardien.toml` says: the settings of the server, the embedded broker and the dashboard."""

import ipaddress
import itertools
import re
import zoneinfo
from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Final, Literal, Self

from msgspec import Meta, field

from access.journal import SERVER
from runtime.settings import MqttSettings, Name, Port, RuleError, Settings, Slug, load_settings
from runtime.written import (
    Address,
    Between,
    ClockChoice,
    DateSpan,
    Day,
    Duration,
    Window,
    Written,
    find_overlap,
    is_loopback,
)
from server.alerts_settings import AlertsSettings
from server.privacy_settings import PrivacySettings
from server.webhooks_settings import WebhookSettings

MOST_KEPT_DAYS: Final = 90
"""The longest that the ledger may say who came and went: CNIL, deliberation 2006-102, article 4."""

Plan = Literal["nomad", "resident", "staff", "partner"]

_DATABASE = re.compile(r"(sqlite|postgresql(\+psycopg)?)://(.*)", re.DOTALL)


class DatabaseUrl(str, Written):
    """A SQLAlchemy URL, its SQLite file absolute, and never with a password in it."""

    __slots__ = ()
    allowed = '"sqlite:///gardien.db" or "postgresql+psycopg://user@host/name"'

    @classmethod
    def parse(cls, value: object, folder: Path) -> Self:
        """Read the URL; a relative SQLite file starts in the folder."""
        found = _DATABASE.fullmatch(value) if isinstance(value, str) else None
        if found is None or "\0" in found[0]:
            raise ValueError(f"write {cls.allowed}")
        if found[1] == "sqlite":
            return cls(f"sqlite:///{folder / _sqlite_file(found[3])}")
        if ":" in found[3].rpartition("@")[0] or "password=" in found[3]:
            raise ValueError("take the password out and give database_password_file")
        return cls(found[0])


class ZoneName(str, Written):
    """A time zone of the IANA database, known to this machine."""

    __slots__ = ()
    allowed = 'a time zone of the IANA list, such as "Europe/Paris"'

    @classmethod
    def parse(cls, value: object, folder: Path) -> Self:  # noqa: ARG003 (not a path)
        """Read the name and look the zone up."""
        if not isinstance(value, str):
            raise ValueError(f"write {cls.allowed}")  # noqa: TRY004 (settings raise ValueError)
        try:
            zoneinfo.ZoneInfo(value)
        except (KeyError, ValueError, OSError) as error:
            raise ValueError(f"is not known here; write {cls.allowed}") from error
        return cls(value)


class Network(str, Written):
    """A network in CIDR notation, such as `192.168.0.0/16`."""

    __slots__ = ()
    allowed = 'a network such as "192.168.0.0/16" or "fd00::/8"'

    @classmethod
    def parse(cls, value: object, folder: Path) -> Self:  # noqa: ARG003 (not a path)
        """Read the network; an address alone is a network of one."""
        if not isinstance(value, str):
            raise ValueError(f"write {cls.allowed}")  # noqa: TRY004 (settings raise ValueError)
        try:
            return cls(ipaddress.ip_network(value))
        except ValueError as error:
            raise ValueError(f"write {cls.allowed}") from error


class BrokerSettings(Settings, frozen=True, kw_only=True):
    """The broker that gardien starts itself, for one machine.

    Attributes:
        program: which one; "auto" takes mosquitto where it is installed, else amqtt; "none" when
            a broker of its own runs already.
        port: TCP port on 127.0.0.1.
        config_file: the settings of a mosquitto that runs already, for `gardien doctor` to look at.
    """

    program: Literal["auto", "mosquitto", "amqtt", "none"] = "auto"
    port: Port = 1883
    config_file: Path = Path("/etc/mosquitto/mosquitto.conf")


class BackupSettings(Settings, frozen=True, kw_only=True):
    """What `gardien doctor` is to know of backups; `gardien backup` is told each time where to.

    Attributes:
        folder: where they go; not written, it looks at when one was last made.
        oldest: how old the newest may be, 1 h to 90 d.
    """

    folder: Path | None = None
    oldest: Annotated[Duration, Between("1 h", "90 d")] = Duration(days=2)


class HistorySettings(Settings, frozen=True, kw_only=True):
    """Where occupancy and counts are kept.

    Attributes:
        url: address of InfluxDB (1.6 to 3); empty for the embedded store.
        username: of InfluxDB 1.x, with `password_file`.
        password_file: a file that holds the password.
        token_file: a file that holds an API token (InfluxDB 2 and 3).
        database: database or bucket; the retention policies raw and hourly are made in it.
    """

    url: Annotated[
        str,
        Meta(
            pattern=r"\A(https?://[^\s/@?#]+/?)?\Z",
            description='an address such as "http://127.0.0.1:8086", or "" for the embedded store',
        ),
    ] = ""
    username: Name | None = None
    password_file: Path | None = None
    token_file: Path | None = None
    database: Slug = "gardien"

    def __post_init__(self) -> None:
        """Refuse half an identity, or two."""
        if (self.username is None) != (self.password_file is None):
            raise RuleError("username and password_file go together; give both or neither")
        if self.username is not None and self.token_file is not None:
            raise RuleError("give a token or a password, not both", field="token_file")


HERE_AND_PRIVATE: Final = tuple(
    Network(one)
    for one in (
        "127.0.0.0/8",
        "::1/128",
        "10.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "169.254.0.0/16",
        "fc00::/7",
        "fe80::/10",
    )
)
"""This machine and private networks: RFC 1918, 3927, 4193 and 4291."""


class DashboardSettings(Settings, frozen=True, kw_only=True):
    """The web pages.

    Attributes:
        listen: host and port of the pages.
        threads: how many requests at once; each live page holds one. 4 to 512.
        behind_tls: whether a proxy in front speaks HTTPS; cookies are then sent over it only.
        kiosk_networks: from where the hall's screen and its numbers may be read without a log-in.
        metrics_token_file: a file that holds the token with which `/metrics` may be read from
            elsewhere than this machine.
    """

    listen: Address = Address(("127.0.0.1", 8080))
    threads: Annotated[int, Meta(ge=4, le=512)] = 64
    behind_tls: bool = False
    kiosk_networks: tuple[Network, ...] = HERE_AND_PRIVATE
    metrics_token_file: Path | None = None


class HomeAssistantSettings(Settings, frozen=True, kw_only=True):
    """Discovery by Home Assistant.

    Attributes:
        enabled: whether the site and its doors are announced.
        prefix: first part of the topics of discovery, as Home Assistant is set up.
    """

    enabled: bool = False
    prefix: Annotated[
        str, Meta(pattern=r"\A[A-Za-z0-9_-]{1,64}\Z", description="a word in quotes")
    ] = "homeassistant"


WebAddress = Annotated[
    str,
    Meta(
        pattern=r"\Ahttps?://[^\s\x00-\x1f]{1,300}\Z",
        description='an address such as "https://example.org/"',
    ),
]


PostalAddress = Annotated[
    str,
    Meta(
        pattern=r"\A[^\x00-\x1f\x7f]{1,200}\Z",
        description="a postal address on one line, in quotes",
    ),
]


class WeekHours(Settings, frozen=True, kw_only=True):
    """Hours for each day of the week; a day that is not written has none."""

    mon: tuple[Window, ...] = ()
    tue: tuple[Window, ...] = ()
    wed: tuple[Window, ...] = ()
    thu: tuple[Window, ...] = ()
    fri: tuple[Window, ...] = ()
    sat: tuple[Window, ...] = ()
    sun: tuple[Window, ...] = ()

    def __post_init__(self) -> None:
        """Refuse hours that overlap, across midnight too."""
        _refuse_overlap(self.days)

    @property
    def days(self) -> tuple[tuple[Window, ...], ...]:
        """The seven days, Monday first."""
        return self.mon, self.tue, self.wed, self.thu, self.fri, self.sat, self.sun


class PlanHours(Settings, frozen=True, kw_only=True):
    """Hours of a plan beside the opening hours; a plan that is not written has none."""

    nomad: WeekHours = field(default_factory=WeekHours)
    resident: WeekHours = field(default_factory=WeekHours)
    staff: WeekHours = field(default_factory=WeekHours)
    partner: WeekHours = field(default_factory=WeekHours)

    def of(self, plan: Plan) -> WeekHours:
        """Give the extra hours of a plan."""
        hours = {
            "nomad": self.nomad,
            "resident": self.resident,
            "staff": self.staff,
            "partner": self.partner,
        }
        return hours[plan]


class PlanTerms(Settings, frozen=True, kw_only=True):
    """What a plan includes.

    Attributes:
        hours_a_month: hours of presence in a calendar month, 0 to 744; not written, nobody counts.
    """

    hours_a_month: Annotated[int, Meta(ge=0, le=744)] | None = None


class PlansSettings(Settings, frozen=True, kw_only=True):
    """What plans include; hours of presence are asked of nomads alone."""

    nomad: PlanTerms = PlanTerms()


class ExceptionSettings(Settings, frozen=True, kw_only=True):
    """One date with hours of its own, in place of the week's, a closure or a public holiday.

    Attributes:
        on: the date (`date` in the file).
        windows: the hours of that date; an empty list is closed all day.
    """

    on: Day = field(name="date")
    windows: tuple[Window, ...]

    def __post_init__(self) -> None:
        """Refuse hours that overlap."""
        _refuse_overlap([self.windows], "windows")


class DoorSettings(Settings, frozen=True, kw_only=True):
    """One door of a site.

    Attributes:
        id: its slug; its name to the broker is `<site>.<door>`.
        name: what people call it.
        readers: "in", and "out" where there is a reader inside.
        contact: whether a contact says that the door is open.
        unlock: how long a grant unlocks it, 1 to 60 s.
        held_after: how long it may stand open before it is `held`, 10 s to 1 h.
        plans: the plans that may use it.
    """

    id: Slug
    name: Name
    readers: tuple[Literal["in", "out"], ...] = ("in",)
    contact: bool
    unlock: Annotated[Duration, Between("1 s", "60 s")] = Duration(seconds=5)
    held_after: Annotated[Duration, Between("10 s", "1 h")] = Duration(seconds=30)
    plans: tuple[Plan, ...] = ("nomad", "resident", "staff", "partner")

    def __post_init__(self) -> None:
        """Refuse a door that nobody can enter by, and what is written twice."""
        _refuse_twice(self.readers, "readers")
        _refuse_twice(self.plans, "plans")
        if self.id == SERVER:
            raise RuleError("the ledger has the server's own chain by that name", field="id")
        if "in" not in self.readers:
            raise RuleError(
                'a door has a reader "in"; write ["in"] or ["in", "out"]', field="readers"
            )


class PublicSettings(Settings, frozen=True, kw_only=True):
    """What a site tells the public of itself, in `/spaceapi.json`.

    Attributes:
        url: its web site.
        logo: address of its logo.
        email: where to write.
        address: postal.
    """

    url: WebAddress
    logo: WebAddress
    email: Annotated[
        str,
        Meta(
            pattern=r"\A[^\s@\x00-\x1f]{1,64}@[^\s@\x00-\x1f]{1,190}\Z",
            description="an e-mail address, in quotes",
        ),
    ]
    address: PostalAddress | None = None


class SiteSettings(Settings, frozen=True, kw_only=True):
    """One place.

    Attributes:
        id: its slug, the first part of its topics.
        name: what people call it.
        zone: its IANA time zone; hours and events are local to it.
        capacity: the most people that it may hold, 1 to 100,000.
        holidays: ISO 3166 code of the country whose public holidays close it; empty is none.
        region: part of that country with holidays of its own; empty is none.
        anti_passback: "soft" grants and marks, "hard" refuses who is inside already.
        level_after_hours: the badge level that is asked for outside opening hours.
        closing_delay: how long a closing watch waits for people to leave, 1 min to 4 h.
        lead: how early before an event its guardian may open, up to 12 h.
        grace: how long after its end the watch must be over, up to 12 h.
        sweep_after: when after opening hours the count is swept to zero, up to 12 h.
        longest_watch: how long a watch lasts unless its guardian badges in again, 1 h to 72 h.
        rate: hours of the time bank for an hour of watch, above 0 to 100.
        keep_days: after how many days the ledger forgets who it was, 1 to 90.
        public: what it tells the public; without it, nothing.
        hours: the staffed hours of the week.
        closures: days on which the site is closed.
        exceptions: dates with hours of their own.
        plan_hours: extra hours of a plan.
        plans: what a plan includes.
        doors: at least one.
    """

    id: Slug
    name: Name
    zone: ZoneName
    capacity: Annotated[int, Meta(ge=1, le=100_000)]
    holidays: Annotated[
        str,
        Meta(pattern=r"\A([A-Z]{2})?\Z", description='a country such as "FR", or "" for none'),
    ] = ""
    region: Annotated[
        str,
        Meta(
            pattern=r"\A[\w '-]{0,40}\Z",
            description='a part of the country such as "Alsace-Moselle", or "" for none',
        ),
    ] = ""
    anti_passback: Literal["soft", "hard"] = "soft"
    level_after_hours: Literal["L0", "L1", "L3"] = "L0"
    closing_delay: Annotated[Duration, Between("1 min", "4 h")] = Duration(minutes=15)
    lead: Annotated[Duration, Between("0 s", "12 h")] = Duration(minutes=30)
    grace: Annotated[Duration, Between("0 s", "12 h")] = Duration(minutes=30)
    sweep_after: Annotated[Duration, Between("0 s", "12 h")] = Duration(minutes=30)
    longest_watch: Annotated[Duration, Between("1 h", "72 h")] = Duration(hours=12)
    rate: Annotated[Decimal, Meta(description="a number above 0, up to 100")] = Decimal("1.0")
    keep_days: Annotated[int, Meta(ge=1)] = MOST_KEPT_DAYS
    public: PublicSettings | None = None
    hours: WeekHours = field(default_factory=WeekHours)
    closures: tuple[DateSpan, ...] = ()
    exceptions: tuple[ExceptionSettings, ...] = field(name="exception", default=())
    plan_hours: PlanHours = field(default_factory=PlanHours)
    plans: PlansSettings = PlansSettings()
    doors: tuple[DoorSettings, ...] = field(name="door")

    def __post_init__(self) -> None:
        """Refuse what the fields alone cannot: no door, twins, a region of nowhere."""
        if not self.rate.is_finite() or not 0 < self.rate <= 100:  # noqa: PLR2004 (said in words)
            raise RuleError("write a number above 0, up to 100", field="rate")
        if self.keep_days > MOST_KEPT_DAYS:
            raise RuleError(
                f"write 1 to {MOST_KEPT_DAYS}: in France, who came and went may be kept for three "
                "months at most (CNIL, deliberation 2006-102, article 4)",
                field="keep_days",
            )
        if self.region and not self.holidays:
            raise RuleError("a region needs its country; give holidays", field="region")
        if not self.doors:
            raise RuleError("a site has at least one door; write [[site.door]]", field="door")
        _refuse_twice([door.id for door in self.doors], "door")
        _refuse_twice([part.on for part in self.exceptions], "exception")


class ServerSettings(Settings, frozen=True, kw_only=True):
    """The whole of `gardien.toml`.

    Attributes:
        language: of people who have not chosen one.
        database: SQLAlchemy URL of the registry and the ledger.
        database_password_file: a file that holds the password of PostgreSQL.
        clock: where the time comes from.
        mqtt: how the server reaches the broker.
        broker: the broker that gardien starts itself.
        backup: where backups go.
        history: where occupancy and counts are kept.
        dashboard: the web pages.
        home_assistant: discovery by Home Assistant.
        alerts: alerts to people.
        webhooks: who is told of what happens.
        privacy: who answers for what is recorded.
        calendar_refresh: how often calendars by address are read again, 10 s to 1 h.
        sites: at least one.
    """

    language: Literal["fr", "en"] = "fr"
    database: DatabaseUrl
    database_password_file: Path | None = None
    clock: ClockChoice = ClockChoice("system")
    mqtt: MqttSettings
    broker: BrokerSettings = BrokerSettings()
    backup: BackupSettings = BackupSettings()
    history: HistorySettings = HistorySettings()
    dashboard: DashboardSettings = DashboardSettings()
    home_assistant: HomeAssistantSettings = HomeAssistantSettings()
    alerts: AlertsSettings = AlertsSettings()
    webhooks: tuple[WebhookSettings, ...] = ()
    privacy: PrivacySettings = PrivacySettings()
    calendar_refresh: Annotated[Duration, Between("10 s", "1 h")] = Duration(seconds=45)
    sites: tuple[SiteSettings, ...] = field(name="site")

    def __post_init__(self) -> None:
        """Refuse twins, and a link that misses the embedded broker."""
        if not self.sites:
            raise RuleError("an installation has at least one site; write [[site]]", field="site")
        _refuse_twice([site.id for site in self.sites], "site")
        _refuse_twice([hook.id for hook in self.webhooks], "webhooks")
        if self.broker.program != "none":
            self._check_embedded()

    def _check_embedded(self) -> None:
        if not is_loopback(self.mqtt.host) or self.mqtt.is_tls:
            raise RuleError(
                "[mqtt] points at a broker of its own, so none is started here; "
                'write program = "none" under [broker]',
                field="broker",
            )
        if self.mqtt.port != self.broker.port:
            raise RuleError(
                f"[mqtt] port is {self.mqtt.port} and [broker] port is {self.broker.port}; "
                "write the same",
                field="broker",
            )


def load_server_settings(path: Path) -> ServerSettings:
    """Read `gardien.toml`. Blocks for the disk only; touches nothing else.

    Raises:
        SettingsError: the file cannot be used; the message says where and why.
    """
    return load_settings(path, ServerSettings)


def _sqlite_file(rest: str) -> str:
    name = rest.removeprefix("/")
    if not rest.startswith("/") or not name or name == ":memory:" or "?" in name:
        raise ValueError('the ledger is kept in a file; write "sqlite:///gardien.db"')
    return name


def _refuse_overlap(days: Iterable[tuple[Window, ...]], name: str = "") -> None:
    twins = find_overlap(days)
    if twins is not None:
        raise RuleError(
            f"{twins[0]} and {twins[1]} overlap; write them as one, or apart", field=name
        )


def _refuse_twice(values: Iterable[object], name: str) -> None:
    for one, other in itertools.pairwise(sorted(map(str, values))):
        if one == other:
            raise RuleError(f"{one} is written twice; keep one", field=name)
