"""Where the dashboard's parts meet."""

import logging
import threading
from collections.abc import Callable, Mapping
from typing import Final

from waitress.server import create_server

from access.ids import SiteId
from dashboards.app import create_app, hub_of
from dashboards.parts import Demo, SpaceCard
from server.installation import Installation

_log = logging.getLogger(__name__)

_BACKLOG_PER_THREAD: Final = 2


def run(
    installation: Installation,
    stop: threading.Event,
    *,
    demo: Demo | None = None,
    spaces: Mapping[SiteId, SpaceCard] | None = None,
    secret: bytes | None = None,
    on_ready: Callable[[int], None] = lambda _port: None,
) -> None:
    """Serve the pages until `stop` is set; blocks.

    Args:
        installation: open, and closed by the caller.
        stop: set it to end.
        demo: the demonstration's panel.
        spaces: what each site that wants to be public says to SpaceAPI.
        secret: see `create_app`.
        on_ready: called once with the port, when browsers can connect.

    Raises:
        OSError: the address can't be listened on.
    """
    settings = installation.settings.dashboard
    host, port = settings.listen.host, settings.listen.port
    with installation.open_history() as (history, _):
        history_app = create_app(
            database=installation.database,
            gatehouse=installation.gatehouse,
            history=history,
            settings=installation.settings,
            clock=installation.clock,
            demo=demo,
            spaces=spaces,
            secret=secret,
        )
        server = create_server(
            history_app,
            host=host,
            port=port,
            threads=settings.threads,
            connection_limit=_BACKLOG_PER_THREAD * settings.threads + 100,
            ident=None,
            # Reads on while it answers, and so hears when a browser has gone.
            channel_request_lookahead=1,
        )
        serving = threading.Thread(target=server.run, name="pages", daemon=True)
        with hub_of(history_app):
            serving.start()
            _log.info("pages at http://%s:%s/", host, server.effective_port)
            on_ready(server.effective_port)
            stop.wait()
        # The hub has ended its streams, so that no thread is held.
        server.task_dispatcher.shutdown()
        server.close()
        serving.join(5)
