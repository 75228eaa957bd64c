"""Where the dashboard's parts meet."""

import logging
import threading
from collections.abc import Callable

from dashboards.app import create_app, hub_of
from dashboards.metrics_server import ServerReport
from dashboards.parts import Demo
from dashboards.server_waitress import served
from runtime.settings import read_secret
from server.installation import Installation
from server.unwritten import UnwrittenNote

_log = logging.getLogger(__name__)


def run(
    installation: Installation,
    stop: threading.Event,
    *,
    demo: Demo | None = None,
    secret: bytes | None = None,
    on_ready: Callable[[int], None] = lambda _port: None,
) -> None:
    """Serve the pages until `stop` is set; blocks.

    Args:
        installation: open, and closed by the caller.
        stop: set it to end.
        demo: the demonstration's panel.
        secret: see `create_app`.
        on_ready: called once with the port, when browsers can connect.

    Raises:
        OSError: the address can't be listened on.
        SettingsError: the token of `/metrics` can't be read.
    """
    settings = installation.settings.dashboard
    host, port = settings.listen.host, settings.listen.port
    token = settings.metrics_token_file
    unwritten = UnwrittenNote(installation.folder.unwritten_file)
    with installation.open_history() as (history, cursors):
        app = create_app(
            database=installation.database,
            gatehouse=installation.gatehouse,
            history=history,
            stand_in=installation.stand_in(cursors),
            settings=installation.settings,
            clock=installation.clock,
            demo=demo,
            cursors=cursors,
            report=ServerReport(installation.folder.report_file),
            is_unwritten=unwritten.is_said,
            metrics_token=None if token is None else read_secret(token),
            secret=secret,
        )
        with (
            served(app, host=host, port=port, threads=settings.threads) as bound,
            # Ends the streams first: each holds a thread.
            hub_of(app),
        ):
            _log.info("pages at http://%s:%d/", host, bound)
            on_ready(bound)
            stop.wait()
