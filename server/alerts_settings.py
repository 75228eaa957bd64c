"""What `gardien.toml` says of alerts: to whom they go, and when they may wait."""

from pathlib import Path
from typing import Annotated, Final, Literal

from msgspec import Meta, field

from runtime.settings import Name, Port, RuleError, Settings, Slug
from runtime.written import Between, Duration, Window, is_loopback

MailAddress = Annotated[
    str,
    Meta(
        pattern=r"\A[^\s@<>,;\x00-\x1f]{1,64}@[^\s@<>,;\x00-\x1f]{1,190}\Z",
        description="an e-mail address, in quotes",
    ),
]

KindPattern = Annotated[
    str,
    Meta(
        pattern=r"\A[a-z][a-z_.]{0,60}\*?\Z|\A\*\Z",
        description='a kind such as "door_forced", or its beginning such as "badge_*", or "*"',
    ),
]

_PORTS: Final = {"starttls": 587, "tls": 465, "none": 25}


class SmtpSettings(Settings, frozen=True, kw_only=True):
    """The mail server that sends alerts by e-mail.

    Attributes:
        host: its name.
        security: "starttls" (port 587), "tls" from the first byte (465), or "none", which is for
            this machine only.
        port: TCP port, where it is not the usual one.
        sender: the address that the messages come from.
        username: of the log-in, with `password_file`.
        password_file: a file that holds the password in its first line.
        ca_file: the certificate authority of the mail server, PEM, where it is one of its own.
    """

    host: Annotated[
        str,
        Meta(pattern=r"\A[A-Za-z0-9.:_-]{1,253}\Z", description="a host name, in quotes"),
    ]
    sender: MailAddress
    security: Literal["starttls", "tls", "none"] = "starttls"
    port: Port | None = None
    username: Name | None = None
    password_file: Path | None = None
    ca_file: Path | None = None

    def __post_init__(self) -> None:
        """Refuse half a log-in, and plain text over a network."""
        if (self.username is None) != (self.password_file is None):
            raise RuleError("username and password_file go together; give both or neither")
        if self.security == "none" and not is_loopback(self.host):
            raise RuleError(
                "without TLS anybody on the way could read the messages; write starttls or tls",
                field="security",
            )

    @property
    def port_used(self) -> int:
        """The port: as written, else the usual one."""
        return self.port or _PORTS[self.security]


class ChannelSettings(Settings, frozen=True, kw_only=True):
    """One way in which alerts reach somebody.

    Attributes:
        id: its slug, by which it is listed.
        to: "staff" (all of the staff), or "guardian" (who is on watch; the staff where nobody is),
            by e-mail at the address that the registry has of them.
        address_file: a file that holds one Apprise address in its first line, in place of `to`:
            SMS, chat, telephone. It is a secret: with it anybody could write there.
        language: of an address; people are written to in their own.
        kinds: which alerts, by kind.
        sites: of which sites; none is all.
        urgent_only: whether only urgent alerts come this way.
        names: whether names may be told to an address; staff and guardians are always told.
    """

    id: Slug
    to: Literal["staff", "guardian"] | None = None
    address_file: Path | None = None
    language: Literal["fr", "en"] | None = None
    kinds: tuple[KindPattern, ...] = ("*",)
    sites: tuple[Slug, ...] = ()
    urgent_only: bool = False
    names: bool = False

    def __post_init__(self) -> None:
        """Refuse a channel that goes nowhere, or to two places."""
        if (self.to is None) == (self.address_file is None):
            raise RuleError("say where it goes: give either to or address_file")


class AlertsSettings(Settings, frozen=True, kw_only=True):
    """Alerts to people.

    Attributes:
        quiet: hours, local to the site, in which alerts that are not urgent wait.
        group: alerts of one kind within this time of each other become one message, up to 24 h.
        stale: what is older when it is first seen is not sent any more, 1 h to 30 d.
        smtp: the mail server; channels with `to` need it.
        channels: the ways in which alerts go out; none, and they are on the board only.
    """

    quiet: Window | None = None
    group: Annotated[Duration, Between("0 s", "24 h")] = Duration(minutes=10)
    stale: Annotated[Duration, Between("1 h", "30 d")] = Duration(days=3)
    smtp: SmtpSettings | None = None
    channels: tuple[ChannelSettings, ...] = field(name="channel", default=())

    def __post_init__(self) -> None:
        """Refuse twins, and e-mail without a mail server."""
        ids = [channel.id for channel in self.channels]
        if len(set(ids)) < len(ids):
            raise RuleError("two channels have the same id; rename one", field="channel")
        if self.smtp is None and any(channel.to for channel in self.channels):
            raise RuleError("mail to people needs a mail server; write [alerts.smtp]", field="smtp")
