"""Makes the followers that send things on, as the settings say."""

from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from datetime import datetime

from server import ledger, notifier_queue
from server.alerts_follower import AlertFollower, places_of
from server.alerts_follower import name_of as name_of_channel
from server.alerts_settings import AlertsSettings, ChannelSettings
from server.database import Database
from server.follower import Follower
from server.installation import Installation
from server.notifier import Notifier
from server.notifier_apprise import AppriseNotifier
from server.notifier_queue import Stage, Target
from server.notifier_smtp import SmtpNotifier
from server.settings import ServerSettings
from server.webhooks_follower import WebhookFollower
from server.webhooks_follower import name_of as name_of_hook


@contextmanager
def senders(installation: Installation, cursors: Database) -> Iterator[list[Follower]]:
    """Open the followers of all channels and webhooks; each is to be run in a thread of its own.

    Args:
        installation: open.
        cursors: where followers keep what is theirs; `Installation.open_history` gives it.

    Raises:
        DatabaseError: its tables can't be made now.
    """
    settings = installation.settings
    notifier_queue.prepare(cursors)
    with ExitStack() as stack:
        found: list[Follower] = [
            AlertFollower(
                channel=channel,
                rules=settings.alerts,
                source=installation.database,
                cursors=cursors,
                notifier=notifier_of(channel, settings.alerts),
                places=places_of(settings.sites),
                clock=installation.clock,
                language=settings.language,
            )
            for channel in settings.alerts.channels
        ]
        found += [
            stack.enter_context(
                closing(
                    WebhookFollower(
                        hook=hook,
                        source=installation.database,
                        cursors=cursors,
                        clock=installation.clock,
                    )
                )
            )
            for hook in settings.webhooks
        ]
        yield found


def notifier_of(channel: ChannelSettings, rules: AlertsSettings) -> Notifier:
    """Give the way in which a channel sends; the settings have seen to it that there is one."""
    if channel.address_file is not None:
        return AppriseNotifier(channel.address_file)
    if rules.smtp is None:
        raise ValueError(f"the channel {channel.id} sends mail; write [alerts.smtp]")
    return SmtpNotifier(rules.smtp)


def names_of(settings: ServerSettings) -> list[str]:
    """Name all followers that send things on, as their cursors and targets are named."""
    channels = [name_of_channel(channel.id) for channel in settings.alerts.channels]
    return channels + [name_of_hook(hook.id) for hook in settings.webhooks]


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How a follower that sends things on stands.

    Attributes:
        name: of the follower.
        target: what is known of its target; None before it first ran.
        lag: entries of the ledger that it has still to look at.
        lag_s: age of the first of them, in seconds; 0 when there is none.
        waiting: deliveries that wait by themselves.
        dead: deliveries that were given up.
    """

    name: str
    target: Target | None
    lag: int
    lag_s: float
    waiting: int
    dead: int


def standing(*, source: Database, cursors: Database, name: str, now: datetime) -> Standing:
    """Say how a follower stands. Blocks for the databases.

    Args:
        source: where the ledger is.
        cursors: as for `senders`; `notifier_queue.prepare` was called.
        name: of the follower.
        now: the time.
    """
    with cursors.reading() as connection:
        target = notifier_queue.target(connection, name)
        done = ledger.cursor(connection, name)
        waiting = notifier_queue.count(connection, name, Stage.WAITING)
        dead = notifier_queue.count(connection, name, Stage.DEAD)
    with source.reading() as connection:
        lag = 0 if target is None else max(0, ledger.last_id(connection) - done)
        first = ledger.read(connection, after_id=done, limit=1) if lag else []
    age_s = (now - first[0].received).total_seconds() if first else 0.0
    return Standing(
        name=name, target=target, lag=lag, lag_s=max(0.0, age_s), waiting=waiting, dead=dead
    )
