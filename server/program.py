"""Where the server's parts meet."""

import logging
import threading
from collections.abc import Callable
from contextlib import closing
from zoneinfo import ZoneInfo

from access.ids import DoorId, SiteId
from runtime.link_paho import PahoLink, login_from
from server.calendar_fetch_urllib3 import Fetcher
from server.calendar_refresh import CalendarRefresher
from server.events import CalendarFailed
from server.follower import HistoryFollower
from server.forgetting import Forgetter
from server.installation import Installation
from server.service import Inbox, Service, last_will, wishes

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
        PahoLink(
            host=settings.mqtt.host,
            port=settings.mqtt.port,
            client_id=settings.mqtt.username or CLIENT_ID,
            login=login_from(settings.mqtt),
            wishes=wishes(),
            will=last_will(next(iter(doors))),
            on_event=inbox.put,
        ) as link,
    ):
        follower = HistoryFollower(source=installation.database, cursors=cursors, history=history)
        following = threading.Thread(target=follower.run, args=(stop,), name="history")
        following.start()
        forgetter = Forgetter(installation, stop=stop)
        forgetting = threading.Thread(target=forgetter.run, name="forgetting")
        refreshing = threading.Thread(
            target=_refresher(installation, fetcher).run,
            args=(stop, settings.calendar_refresh.total_seconds()),
            name="calendars",
        )
        refreshing.start()
        service = Service(
            doors=doors,
            gatehouse=installation.gatehouse,
            policy_of=installation.policies.current,
            sign=installation.sign(),
            link=link,
            inbox=inbox,
            clock=installation.clock,
            on_commit=follower.wake,
        )
        forgetting.start()
        try:
            service.run(stop, on_turn)
        finally:
            stop.set()
            follower.wake()
            following.join()
            forgetting.join()
            refreshing.join()


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
