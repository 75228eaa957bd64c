"""Where the server's parts meet."""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from importlib.metadata import version
from zoneinfo import ZoneInfo

from access.ids import DoorId, SiteId
from runtime.link_paho import login_from
from runtime.link_paho_driven import DrivenPahoLink
from server.calendar_fetch_urllib3 import Fetcher
from server.calendar_refresh import CalendarRefresher
from server.database import Database
from server.events import CalendarFailed
from server.follower import Follower
from server.forgetting import Forgetter
from server.home_assistant import Announcer
from server.installation import Installation
from server.meter_prometheus import PrometheusMeter
from server.notifier_followers import senders
from server.service import Inbox, Service, last_will, wishes
from server.unwritten import UnwrittenNote

_log = logging.getLogger(__name__)

CLIENT_ID = "server"


def run(
    installation: Installation,
    stop: threading.Event,
    on_turn: Callable[[], None] = lambda: None,
) -> None:
    """Run the server until `stop` is set; blocks.

    Args:
        installation: open, and closed by the caller.
        stop: set it to end.
        on_turn: called at least four times a second while all is well, for a watchdog.

    Raises:
        KeyFileError: the signing key is missing.
        LinkError: the link to the broker can't be set up.
    """
    settings = installation.settings
    doors = {
        SiteId(site.id): frozenset(DoorId(door.id) for door in site.doors)
        for site in settings.sites
    }
    inbox = Inbox()
    with (
        closing(Fetcher()) as fetcher,
        installation.open_history() as (history, cursors),
        senders(installation, cursors) as sending,
    ):
        copying = installation.history_followers(history, cursors)
        followers: list[Follower] = [*copying, *sending]
        announcer = _announcer(installation, cursors)
        refresh_s = settings.calendar_refresh.total_seconds()
        refresher = _refresher(installation, fetcher)

        def wake() -> None:
            for follower in followers:
                follower.wake()

        def wake_all() -> None:
            wake()
            announcer.wake()

        with DrivenPahoLink(
            host=settings.mqtt.host,
            port=settings.mqtt.port,
            client_id=settings.mqtt.username or CLIENT_ID,
            login=login_from(settings.mqtt),
            wishes=wishes(),
            will=last_will(next(iter(doors))),
            on_event=announcer.beside(inbox.put),
        ) as link:
            inbox.fill_by(link.wait)
            meter = PrometheusMeter(waiting=lambda: inbox.waiting, dropped=lambda: inbox.dropped)
            unwritten = UnwrittenNote(installation.folder.unwritten_file)
            unwritten.make()
            service = Service(
                doors=doors,
                gatehouse=installation.gatehouse,
                policy_of=installation.policies.current,
                sign=installation.sign(),
                link=link,
                inbox=inbox,
                clock=installation.clock,
                on_commit=wake,
                meter=meter,
                unwritten=unwritten,
            )
            with _beside(
                stop,
                wake_all,
                calendars=lambda: refresher.run(stop, refresh_s),
                forgetting=Forgetter(installation, stop=stop).run,
                numbers=lambda: meter.run(stop, installation.folder.report_file),
                home=lambda: announcer.run(stop, link),
                **{one.label: partial(one.run, stop) for one in followers},
            ):
                service.run(stop, on_turn)


@contextmanager
def _beside(
    stop: threading.Event, wake: Callable[[], None], **work: Callable[[], None]
) -> Iterator[None]:
    """Run work beside the server's loop, each in a thread of its name, and end it with the loop.

    Args:
        stop: ends all of it.
        wake: ends the waiting of whoever does not watch `stop`.
        work: what to run, by name.
    """
    threads = [threading.Thread(target=run, name=name) for name, run in work.items()]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        wake()
        for thread in threads:
            thread.join()


def _announcer(installation: Installation, notes: Database) -> Announcer:
    settings = installation.settings
    return Announcer(
        settings=settings.home_assistant,
        sites=settings.sites,
        language=settings.language,
        version=version("gardien"),
        notes=notes,
    )


def _refresher(installation: Installation, fetcher: Fetcher) -> CalendarRefresher:
    def tell(site: SiteId, event: CalendarFailed) -> None:
        installation.gatehouse.handle(site, [event], installation.clock.now())

    return CalendarRefresher(
        database=installation.database,
        zones={SiteId(site.id): ZoneInfo(site.zone) for site in installation.settings.sites},
        clock=installation.clock,
        fetch=fetcher.fetch,
        tell=tell,
    )
