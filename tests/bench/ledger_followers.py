"""How fast each follower catches up over the last records of a ledger, into what it really writes.

The history goes into the embedded store; webhooks go over HTTP to a bare receiver in a process of
its own; alerts are looked for as the channel's follower does, and handed to a notifier that takes
everything.
"""

import asyncio
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from multiprocessing import get_context
from multiprocessing.connection import Connection as Pipe
from typing import Final

from sqlalchemy import func, select

from runtime.broker import LOOPBACK
from server import ledger, notifier_queue, schema, webhooks
from server.alerts_follower import AlertFollower, places_of
from server.alerts_settings import AlertsSettings, ChannelSettings
from server.follower import NAME, HistoryFollower
from server.notifier import Letter
from server.webhooks_follower import WebhookFollower
from server.webhooks_settings import WebhookSettings
from tests.bench.ledger_courtesy import Decisions, decide
from tests.bench.ledger_filling import SPAN
from tests.bench.ledger_place import SITE, Place

MONTH_DAYS: Final = 32
ONE_BY_ONE: Final = "webhook, one by one"
"""Told in one request each, so that the receiver's round trip decides."""

_ANSWER: Final = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


@dataclass(frozen=True, kw_only=True)
class FollowerRate:
    """How fast a follower catches up.

    Attributes:
        records: how many there were to go past.
        per_s: how many it does in a second while nobody is at a door.
        beside: how long decisions take meanwhile, where there are some.
        beside_per_s: how many records it does in a second then.
    """

    name: str
    records: int
    per_s: float
    beside: Decisions
    beside_per_s: float


class Taken:
    """A notifier that takes everything, and counts it."""

    def __init__(self) -> None:
        self.letters = 0

    def send(self, letters: list[Letter]) -> None:
        """Take messages."""
        self.letters += len(letters)


_Named = HistoryFollower | AlertFollower | WebhookFollower


@dataclass(frozen=True, kw_only=True)
class Scope:
    """What to catch up over: from after `first` up to `last`, and how many decisions beside it."""

    first: int
    last: int
    decisions: int


def follow(place: Place, records: int, decisions: int) -> list[FollowerRate]:
    """Let each follower catch up; the history over a month, which the curve is drawn of then.

    Args:
        place: whose ledger.
        records: over how many records at the end of it the others go.
        decisions: how many are taken beside each.
    """
    with place.database.reading() as connection:
        last = ledger.last_id(connection)
    scope = Scope(first=max(0, last - records), last=last, decisions=decisions)
    notifier_queue.prepare(place.cursors)
    rates = [_history(place, scope), _alerts(place, scope)]
    with receiver() as port:
        rates += [_webhook(place, port, batch, scope) for batch in (500, 1)]
    return rates


def _history(place: Place, scope: Scope) -> FollowerRate:
    since = place.installation.clock.now() - SPAN * MONTH_DAYS / 365
    entry = schema.ledger.c
    with place.database.reading() as connection:
        wanted = select(func.min(entry.id)).where(entry.site == SITE, entry.time >= since)
        first = int(connection.execute(wanted).scalar_one()) - 1

    def make() -> HistoryFollower:
        return HistoryFollower(source=place.database, cursors=place.cursors, history=place.history)

    return _caught_up(place, "history, embedded", make, replace(scope, first=first))


def _alerts(place: Place, scope: Scope) -> FollowerRate:
    def make() -> AlertFollower:
        return AlertFollower(
            channel=ChannelSettings(id="bench", to="staff"),
            rules=AlertsSettings(),
            source=place.database,
            cursors=place.cursors,
            notifier=Taken(),
            places=places_of(place.installation.settings.sites),
            clock=place.installation.clock,
            language="fr",
        )

    return _caught_up(place, "alerts", make, scope)


def _webhook(place: Place, port: int, batch: int, scope: Scope) -> FollowerRate:
    secret = place.installation.folder.path / "webhook.secret"
    secret.write_text(webhooks.write_key(secrets.token_bytes(32)))
    hook = WebhookSettings(
        id=f"of-{batch}", url=f"http://{LOOPBACK}:{port}/", secret_file=secret, batch=batch
    )

    def make() -> WebhookFollower:
        return WebhookFollower(
            hook=hook,
            source=place.database,
            cursors=place.cursors,
            clock=place.installation.clock,
        )

    what = ONE_BY_ONE if batch == 1 else f"webhook, {batch} at a time"
    return _caught_up(place, what, make, scope)


def _caught_up(place: Place, what: str, make: Callable[[], _Named], scope: Scope) -> FollowerRate:
    follower = _begun(place, make, scope)
    beside = decide(place, scope.decisions, follower)
    done = min(_cursor(place, follower.name), scope.last) - scope.first
    _let_go(follower)
    # Once more from the first, while nobody is at a door.
    follower = _begun(place, make, scope)
    start = time.perf_counter()
    while _cursor(place, follower.name) < scope.last:
        follower.step()
    taken_s = time.perf_counter() - start
    _let_go(follower)
    return FollowerRate(
        name=what,
        records=scope.last - scope.first,
        per_s=(scope.last - scope.first) / taken_s,
        beside=beside,
        beside_per_s=done / beside.taken_s,
    )


def _begun(place: Place, make: Callable[[], _Named], scope: Scope) -> _Named:
    follower = make()
    with place.cursors.writing() as connection:
        if follower.name != NAME:
            notifier_queue.begin(connection, follower.name, scope.first)
        ledger.rewind(connection, follower.name)
        ledger.advance(connection, follower.name, scope.first)
    return follower


def _let_go(follower: _Named) -> None:
    if isinstance(follower, WebhookFollower):
        follower.close()


def _cursor(place: Place, name: str) -> int:
    with place.cursors.reading() as connection:
        return ledger.cursor(connection, name)


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
