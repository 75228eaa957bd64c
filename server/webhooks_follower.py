"""The followers that tell webhooks what happens: one for each, so that none waits for another.

Events go out in order and are told at least once. While the target is away its cursor waits: the
ledger is the queue, and nothing is held twice. One request that the target does not take steps
aside, so that those after it go on; it is tried again over hours and then given up, to be looked at
and sent again by hand.
"""

import logging
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from access.ids import MemberId
from runtime.clock import Clock
from runtime.settings import SettingsError, read_secret
from server import ledger, notifier_queue, webhooks
from server.alerts_people import names
from server.database import Database
from server.follower import Follower
from server.ledger import StoredEntry
from server.notifier import is_due, retry_at
from server.notifier_queue import Delivery, Stage, Target
from server.webhooks_post_http import Poster, PostError, PostRefusedError
from server.webhooks_settings import WebhookSettings

_log = logging.getLogger(__name__)

_READ: Final = 1_000
_NOTE_EVERY: Final = 200
"""After so many events the cursor is noted; so many may come twice after a crash."""
_MOST_ASIDE: Final = 1_000
"""When so many wait aside, the target is taken to be wrong as a whole, and waited for."""

TRIES_S: Final = (5, 300, 1800, 7200, 18_000, 36_000)
"""Seconds until a request that was not taken is tried again; after the last it is given up."""

_DEAD_KEPT: Final = timedelta(days=90)


def name_of(hook: str) -> str:
    """Name a webhook as a follower and a target."""
    return f"webhook.{hook}"


class WebhookFollower(Follower):
    """Tells one webhook what is in the ledger. Close it when done.

    Args:
        hook: as it is set up.
        source: where the ledger is.
        cursors: where the cursor is kept; `notifier_queue.prepare` was called.
        clock: the time.
    """

    def __init__(
        self, *, hook: WebhookSettings, source: Database, cursors: Database, clock: Clock
    ) -> None:
        super().__init__()
        self.name = name_of(hook.id)
        self.label = f"the webhook {hook.id}"
        self._hook, self._source, self._cursors, self._clock = hook, source, cursors, clock
        self._poster = Poster(hook.url, hook.timeout.total_seconds())
        self._is_batch = hook.batch > 1
        self._begun = False
        self._idle_s = super().idle_s()

    def close(self) -> None:
        """Let go of the connection. Closing twice is harmless."""
        self._poster.close()

    def idle_s(self) -> float:
        """Wait for news until the next attempt is due, at the most."""
        return self._idle_s

    def step(self) -> int:
        """Tell what is new, or try again what is due; blocks while it is posted.

        Returns:
            How many entries of the ledger it went past, and requests it tried again; 0 when there
            is nothing to do now.

        Raises:
            DatabaseError: not now; nothing is lost.
        """
        now = self._clock.now()
        self._idle_s = super().idle_s()
        target, done = self._begin()
        if not is_due(target.retry_at, now):
            self._wait_for(target.retry_at, now)
            return 0
        with self._source.reading() as connection:
            entries = ledger.read(connection, after_id=done, limit=_READ)
        try:
            keys = self._keys()
            target, told = self._tell(target, entries, keys)
            return told + self._try_again(target, keys)
        except PostError as error:
            return self._put_off(error)

    def _begin(self) -> tuple[Target, int]:
        """Give how it stands; a webhook that is new is told what happens from now on."""
        if not self._begun:
            with self._source.reading() as connection:
                last = ledger.last_id(connection)
            with self._cursors.writing() as connection:
                notifier_queue.begin(connection, self.name, last)
            self._begun = True
        with self._cursors.reading() as connection:
            target = notifier_queue.target(connection, self.name) or Target(name=self.name)
            return target, ledger.cursor(connection, self.name)

    def _keys(self) -> list[bytes]:
        files = [self._hook.secret_file, self._hook.previous_secret_file]
        try:
            return [webhooks.read_key(read_secret(file)) for file in files if file is not None]
        except (SettingsError, webhooks.WebhookSecretError) as error:
            raise PostError(f"it can't be signed: {error}") from error

    def _tell(
        self, target: Target, entries: Sequence[StoredEntry], keys: Sequence[bytes]
    ) -> tuple[Target, int]:
        """Tell of entries, batch by batch; the cursor goes with what was taken."""
        wanted = [entry for entry in entries if webhooks.is_wanted(self._hook, entry)]
        size, told = self._hook.batch, 0
        try:
            for start in range(0, len(wanted), size):
                some = wanted[start : start + size]
                try:
                    self._post(some, keys)
                except PostRefusedError as error:
                    self._step_aside(some, keys, error)
                told = some[-1].id
                self.breathe()
                if start % _NOTE_EVERY == 0:
                    target = self._succeeded(target, told)
        finally:
            # Also where the target went away in the middle: what it has need not come twice.
            if told:
                target = self._succeeded(target, told)
        if entries:
            with self._cursors.writing() as connection:
                ledger.advance(connection, self.name, entries[-1].id)
        return target, len(entries)

    def _post(self, entries: Sequence[StoredEntry], keys: Sequence[bytes]) -> None:
        named: dict[MemberId, str] = {}
        if self._hook.people == "names":
            with self._source.reading() as connection:
                members = set().union(*(webhooks.members_in(one) for one in entries))
                named = names(connection, members)
        events = [
            webhooks.event_of(
                one,
                self._hook.people,
                {m: named[m] for m in webhooks.members_in(one) if m in named} if named else None,
            )
            for one in entries
        ]
        body, content_type = webhooks.body_of(events, is_batch=self._is_batch)
        id_ = webhooks.id_of(events, is_batch=self._is_batch)
        self._poster.post(body, webhooks.headers(keys, id_, body, self._clock.now(), content_type))

    def _succeeded(self, target: Target, done: int) -> Target:
        after = Target(name=self.name, delivered_at=self._clock.now())
        with self._cursors.writing() as connection:
            ledger.advance(connection, self.name, done)
            notifier_queue.save(connection, after)
            over = self._clock.now() - _DEAD_KEPT
            notifier_queue.prune(connection, self.name, Stage.DEAD, over)
        if target.attempts:
            _log.info("%s is back", self.label)
        return after

    def _step_aside(
        self, entries: Sequence[StoredEntry], keys: Sequence[bytes], error: PostRefusedError
    ) -> None:
        """Let what the target does not take wait aside; of a batch, only those that it is.

        Raises:
            PostError: the target went away meanwhile, or takes nothing at all.
        """
        with self._cursors.reading() as connection:
            waiting = notifier_queue.count(connection, self.name, Stage.WAITING)
        if waiting + len(entries) > _MOST_ASIDE + self._hook.batch:
            raise PostError(f"{error}, and so it did for {waiting} others") from error
        for entry in entries:
            refused = error
            if len(entries) > 1:
                try:
                    self._post([entry], keys)
                except PostRefusedError as again:
                    refused = again
                else:
                    self._note(entry.id, [])
                    continue
            _log.warning("%s does not take entry %d: %s", self.label, entry.id, refused)
            self._note(entry.id, [self._aside(entry, str(refused))])

    def _note(self, done: int, aside: Sequence[Delivery]) -> None:
        with self._cursors.writing() as connection:
            notifier_queue.put(connection, aside)
            ledger.advance(connection, self.name, done)

    def _aside(self, entry: StoredEntry, error: str) -> Delivery:
        return Delivery(
            target=self.name,
            entry=entry.id,
            site=entry.site,
            kind=entry.kind,
            due=self._clock.now() + timedelta(seconds=TRIES_S[0]),
            attempts=1,
            error=error,
        )

    def _try_again(self, target: Target, keys: Sequence[bytes]) -> int:
        """Try what waits aside and is due."""
        now = self._clock.now()
        with self._cursors.reading() as connection:
            waiting = notifier_queue.listed(connection, self.name, Stage.WAITING, limit=100)
        for one in waiting:
            if one.due <= now or one.due - now > timedelta(seconds=TRIES_S[-1]):
                self._try(one, target, keys, now)
        if waiting:
            self._wait_for(waiting[0].due, now)
        return sum(one.due <= now for one in waiting)

    def _try(self, one: Delivery, target: Target, keys: Sequence[bytes], now: datetime) -> None:
        with self._source.reading() as connection:
            entries = ledger.these(connection, [one.entry])
        try:
            if entries:
                self._post(entries, keys)
        except PostRefusedError as error:
            attempts = one.attempts + 1
            is_over = attempts > len(TRIES_S)
            wait_s = TRIES_S[min(attempts, len(TRIES_S)) - 1]
            changed = replace(
                one,
                attempts=attempts,
                stage=Stage.DEAD if is_over else Stage.WAITING,
                due=now if is_over else now + timedelta(seconds=wait_s),
                error=str(error),
            )
            if is_over:
                _log.error("%s: entry %d is given up: %s", self.label, one.entry, error)
            with self._cursors.writing() as connection:
                notifier_queue.move(connection, changed)
        else:
            with self._cursors.writing() as connection:
                notifier_queue.remove(connection, self.name, [one.entry])
                notifier_queue.save(connection, replace(target, delivered_at=now))

    def _put_off(self, error: PostError) -> int:
        """Try again later; what is older than the target has been away for is set aside."""
        now = self._clock.now()
        target, done = self._begin()
        attempts = target.attempts + 1
        since = target.failing_since or now
        _log.warning("%s waits: %s (attempt %d)", self.label, error, attempts)
        later = retry_at(now, attempts, error.wait_s)
        changed = replace(
            target, attempts=attempts, failing_since=since, retry_at=later, error=str(error)
        )
        given_up: list[StoredEntry] = []
        if now - since >= self._hook.give_up_after:
            given_up = self._too_old(done, now - self._hook.give_up_after)
        with self._cursors.writing() as connection:
            notifier_queue.save(connection, changed)
            if given_up:
                notifier_queue.put(connection, [self._dead(one, str(error)) for one in given_up])
                ledger.advance(connection, self.name, given_up[-1].id)
        self._wait_for(later, now)
        return 0

    def _too_old(self, done: int, before: datetime) -> list[StoredEntry]:
        with self._source.reading() as connection:
            entries = ledger.read(connection, after_id=done, limit=_READ)
        return [
            one for one in entries if one.received < before and webhooks.is_wanted(self._hook, one)
        ]

    def _dead(self, entry: StoredEntry, error: str) -> Delivery:
        given_up = self._aside(entry, error)
        return replace(given_up, stage=Stage.DEAD, due=self._clock.now())

    def _wait_for(self, moment: datetime | None, now: datetime) -> None:
        if moment is not None:
            self._idle_s = max(0.05, min(self._idle_s, (moment - now).total_seconds()))
