"""How fast each follower catches up over the last records of a ledger, into what it really writes.

The history goes into the embedded store; webhooks go over HTTP to a bare receiver in a process of
its own; alerts are looked for as the channel's follower does, and handed to a notifier that takes
everything.
"""

import asyncio
import secrets
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection as Pipe
from typing import Final

from sqlalchemy import func, select

from runtime.broker import LOOPBACK
from server import ledger, notifier_queue, schema, webhooks
from server.alerts_follower import AlertFollower, places_of
from server.alerts_settings import AlertsSettings, ChannelSettings
from server.follower import NAME, Follower, HistoryFollower
from server.notifier import Letter
from server.webhooks_follower import WebhookFollower
from server.webhooks_settings import WebhookSettings
from tests.bench.ledger_filling import SPAN
from tests.bench.ledger_place import SITE, Place

MONTH_DAYS: Final = 32
_ANSWER: Final = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


@dataclass(frozen=True, kw_only=True)
class FollowerRate:
    """How many records of the ledger a follower goes past in a second, while it catches up."""

    name: str
    records: int
    per_s: float


class Taken:
    """A notifier that takes everything, and counts it."""

    def __init__(self) -> None:
        self.letters = 0

    def send(self, letters: list[Letter]) -> None:
        """Take messages."""
        self.letters += len(letters)


def follow(place: Place, records: int) -> list[FollowerRate]:
    """Let each follower catch up; the history over a month, which the curve is drawn of then.

    Args:
        place: whose ledger.
        records: over how many records at the end of it the others go.
    """
    with place.database.reading() as connection:
        last = ledger.last_id(connection)
    first = max(0, last - records)
    notifier_queue.prepare(place.cursors)
    rates = [_history(place, last)]
    rates.append(_alerts(place, first, last))
    with receiver() as port:
        rates += [_webhook(place, port, batch, first, last) for batch in (500, 1)]
    return rates


def _history(place: Place, last: int) -> FollowerRate:
    since = place.installation.clock.now() - SPAN * MONTH_DAYS / 365
    entry = schema.ledger.c
    with place.database.reading() as connection:
        wanted = select(func.min(entry.id)).where(entry.site == SITE, entry.time >= since)
        first = int(connection.execute(wanted).scalar_one()) - 1
    follower = HistoryFollower(source=place.database, cursors=place.cursors, history=place.history)
    return _caught_up(place, follower, NAME, "history, embedded", first=first, last=last)


def _alerts(place: Place, first: int, last: int) -> FollowerRate:
    follower = AlertFollower(
        channel=ChannelSettings(id="bench", to="staff"),
        rules=AlertsSettings(),
        source=place.database,
        cursors=place.cursors,
        notifier=Taken(),
        places=places_of(place.installation.settings.sites),
        clock=place.installation.clock,
        language="fr",
    )
    return _caught_up(place, follower, follower.name, "alerts", first=first, last=last)


def _webhook(place: Place, port: int, batch: int, first: int, last: int) -> FollowerRate:
    secret = place.installation.folder.path / "webhook.secret"
    secret.write_text(webhooks.write_key(secrets.token_bytes(32)))
    hook = WebhookSettings(
        id=f"of-{batch}", url=f"http://{LOOPBACK}:{port}/", secret_file=secret, batch=batch
    )
    with closing(
        WebhookFollower(
            hook=hook,
            source=place.database,
            cursors=place.cursors,
            clock=place.installation.clock,
        )
    ) as follower:
        what = "webhook, one by one" if batch == 1 else f"webhook, {batch} at a time"
        return _caught_up(place, follower, follower.name, what, first=first, last=last)


def _caught_up(
    place: Place, follower: Follower, name: str, what: str, *, first: int, last: int
) -> FollowerRate:
    with place.cursors.writing() as connection:
        if name != NAME:
            notifier_queue.begin(connection, name, first)
        ledger.advance(connection, name, first)
    start = time.perf_counter()
    done = 0
    while done < last:
        follower.step()
        with place.cursors.reading() as connection:
            done = ledger.cursor(connection, name)
    taken_s = time.perf_counter() - start
    return FollowerRate(name=what, records=last - first, per_s=(last - first) / taken_s)


@contextmanager
def receiver() -> Iterator[int]:
    """Run a web server that takes everything, in a process of its own; give its port."""
    here, there = get_context("spawn").Pipe()
    process = get_context("spawn").Process(target=_receive, args=(there,), daemon=True)
    process.start()
    try:
        yield here.recv()
    finally:
        process.terminate()
        process.join()


def _receive(told: Pipe) -> None:
    asyncio.run(_serve(told))


async def _serve(told: Pipe) -> None:
    server = await asyncio.start_server(_answer, LOOPBACK, 0)
    told.send(server.sockets[0].getsockname()[1])
    async with server:
        await server.serve_forever()


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with closing(writer):
        while head := await _head(reader):
            lines = head.lower().split(b"\r\n")
            length = next(int(line[15:]) for line in lines if line.startswith(b"content-length:"))
            await reader.readexactly(length)
            writer.write(_ANSWER)
            await writer.drain()


async def _head(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return b""
