"""The followers that send alerts on: one for each channel, so that none waits for another.

What waits (for company, for the end of quiet hours, for a target to come back) is kept by its
number in the database, so a restart loses nothing. A message may go out twice where the power goes
between its sending and the note of it; never less than once.
"""

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import groupby
from typing import Final
from zoneinfo import ZoneInfo

from sqlalchemy import Connection

from access.ids import MemberId, SiteId
from runtime.clock import Clock
from server import alerts_wording, ledger, notifier_queue
from server.alerts import (
    PREFIX,
    Alert,
    acknowledged,
    alert_of,
    concerns,
    due_at,
    is_alert,
    is_urgent,
)
from server.alerts_people import names, readers
from server.alerts_settings import AlertsSettings, ChannelSettings
from server.alerts_wording import Place
from server.database import Database
from server.follower import Follower
from server.notifier import Letter, Notifier, NotifierError, NotifierRefusedError, is_due, retry_at
from server.notifier_queue import Delivery, Stage, Target
from server.settings import SiteSettings

_log = logging.getLogger(__name__)

_BATCH: Final = 1_000
_NOTE_EVERY_S: Final = 30.0
_LEAST_IDLE_S: Final = 0.05
_KEPT: Final = timedelta(days=1)
_DEAD_KEPT: Final = timedelta(days=90)


def name_of(channel: str) -> str:
    """Name a channel as a follower and a target."""
    return f"alerts.{channel}"


class AlertFollower(Follower):
    """Sends the alerts of the ledger on by one channel.

    Args:
        channel: as it is set up.
        rules: grouping, quiet hours.
        source: where the ledger is.
        cursors: where the cursor is kept, and what waits; `notifier_queue.prepare` was called.
        notifier: sends.
        places: the sites.
        clock: the time.
        language: of those who have not chosen one.
    """

    def __init__(
        self,
        *,
        channel: ChannelSettings,
        rules: AlertsSettings,
        source: Database,
        cursors: Database,
        notifier: Notifier,
        places: Mapping[SiteId, Place],
        clock: Clock,
        language: str,
    ) -> None:
        super().__init__()
        self.name = name_of(channel.id)
        self.label = f"the channel {channel.id}"
        self._channel, self._rules = channel, rules
        self._source, self._cursors, self._notifier = source, cursors, notifier
        self._places, self._clock, self._language = places, clock, language
        self._seen: int | None = None
        self._noted_at = 0.0
        self._idle_s = super().idle_s()

    def idle_s(self) -> float:
        """Wait for news until the next message is due, at the most."""
        return self._idle_s

    def step(self) -> int:
        """Read on, and send what is due; blocks while it sends.

        Returns:
            How many entries of the ledger it went past, and messages it sent; 0 when there is
            nothing to do now.

        Raises:
            DatabaseError: not now; nothing is lost.
        """
        return self._read_on() + self._send_due()

    def _read_on(self) -> int:
        with self._source.reading() as connection:
            last = ledger.last_id(connection)
        seen = self._begin(last)
        if last <= seen:
            return 0
        with self._source.reading() as connection:
            found, up_to = self._new_alerts(connection, seen, last)
        if found or time.monotonic() >= self._noted_at + _NOTE_EVERY_S or last > seen + _BATCH:
            self._note(found, up_to)
        self._seen = up_to
        return up_to - seen

    def _begin(self, last: int) -> int:
        """Give how far it has come; a channel that is new begins with what comes now."""
        if self._seen is None:
            with self._cursors.writing() as connection:
                notifier_queue.begin(connection, self.name, last)
                self._seen = ledger.cursor(connection, self.name)
        return self._seen

    def _new_alerts(
        self, connection: Connection, seen: int, last: int
    ) -> tuple[list[ledger.StoredEntry], int]:
        """Read the alerts of all sites, as far as they were all read."""
        by_site = [ledger.alerts(connection, site, seen, last, _BATCH) for site in self._places]
        up_to = min([last, *(read[-1].id for read in by_site if len(read) == _BATCH)])
        found = [one for read in by_site for one in read if one.id <= up_to]
        return [one for one in found if is_alert(one.kind) and self._is_wanted(one)], up_to

    def _is_wanted(self, entry: ledger.StoredEntry) -> bool:
        if entry.received < self._clock.now() - self._rules.stale:
            return False
        return concerns(self._channel, entry.site, entry.kind.removeprefix(PREFIX))

    def _note(self, found: Sequence[ledger.StoredEntry], up_to: int) -> None:
        now = self._clock.now()
        with self._cursors.writing() as connection:
            sent = notifier_queue.listed(connection, self.name, Stage.SENT)
            last = {(one.site, one.kind): one.due for one in sent}
            notifier_queue.put(
                connection,
                [
                    Delivery(
                        target=self.name,
                        entry=one.id,
                        site=one.site,
                        kind=one.kind,
                        due=due_at(
                            one.kind.removeprefix(PREFIX),
                            now,
                            self._places[one.site].zone,
                            self._rules,
                            last.get((one.site, one.kind)),
                        ),
                    )
                    for one in found
                ],
            )
            ledger.advance(connection, self.name, up_to)
        self._noted_at = time.monotonic()

    def _send_due(self) -> int:
        now = self._clock.now()
        with self._cursors.reading() as connection:
            target = notifier_queue.target(connection, self.name) or Target(name=self.name)
            waiting = notifier_queue.listed(connection, self.name, Stage.WAITING)
        self._idle_s = self._wait_for(waiting, target, now)
        due = [one for one in waiting if one.due <= now or one.due - now > _KEPT * 2]
        if not due or not is_due(target.retry_at, now):
            return 0
        done = 0
        for group in _groups(due):
            after = self._send(group, target, now)
            if after is None:
                return 0
            target = after
            done += len(group)
        return done

    def _wait_for(self, waiting: Sequence[Delivery], target: Target, now: datetime) -> float:
        """Say for how long nothing can be sent, in seconds, five at the most."""
        if not waiting:
            return super().idle_s()
        at = min(one.due for one in waiting)
        if target.retry_at is not None:
            at = max(at, target.retry_at)
        return min(super().idle_s(), max(_LEAST_IDLE_S, (at - now).total_seconds()))

    def _send(self, group: Sequence[Delivery], target: Target, now: datetime) -> Target | None:
        """Send one message about deliveries of one kind; give None where the target is away."""
        open_ = self._open(group)
        try:
            if open_:
                self._notifier.send(self._letters(open_))
        except NotifierRefusedError as error:
            _log.error("%s: %d alerts can't be sent: %s", self.label, len(group), error)
            return self._settle(group, Stage.DEAD, replace(target, error=str(error)), now)
        except NotifierError as error:
            self._put_off(group, target, now, error)
            return None
        return self._settle(group, Stage.SENT, Target(name=self.name, delivered_at=now), now)

    def _open(self, group: Sequence[Delivery]) -> list[Alert]:
        """Read the alerts that nobody has taken in charge yet, oldest first."""
        with self._source.reading() as connection:
            entries = ledger.these(connection, [one.entry for one in group])
            if not entries:
                return []
            last = ledger.last_id(connection)
            later = ledger.alerts(connection, group[0].site, entries[0].id, last)
        taken = acknowledged(later)
        return [alert_of(one) for one in entries if (one.site, one.seq) not in taken]

    def _letters(self, alerts: Sequence[Alert]) -> list[Letter]:
        """Write the message, once for each language.

        Raises:
            NotifierRefusedError: there is nobody to write to.
        """
        place = self._places[alerts[0].site]
        people: list[MemberId | None] = [one.person for one in alerts]
        people += [member for one in alerts for member in one.people]
        with self._source.reading() as connection:
            named = names(connection, people) if self._channel.to or self._channel.names else {}
            found = readers(connection, self._channel.to, alerts) if self._channel.to else []
        if self._channel.to is None:
            return [self._letter(alerts, place, self._channel.language or self._language, named)]
        if not found:
            raise NotifierRefusedError("nobody who is to be told has an e-mail address")
        languages = sorted({one.language for one in found})
        return [
            self._letter(
                alerts,
                place,
                language,
                named,
                to=tuple(one.email for one in found if one.language == language),
            )
            for language in languages
        ]

    def _letter(
        self,
        alerts: Sequence[Alert],
        place: Place,
        language: str,
        named: Mapping[MemberId, str],
        to: tuple[str, ...] = (),
    ) -> Letter:
        first = alerts[0]
        return Letter(
            title=alerts_wording.title(alerts, place, language),
            text=alerts_wording.text(alerts, place, language, named),
            to=to,
            is_urgent=first.is_urgent,
            reference=f"{first.site}.{first.number}.{len(alerts)}.{self._channel.id}.{language}",
        )

    def _settle(
        self, group: Sequence[Delivery], stage: Stage, target: Target, now: datetime
    ) -> Target:
        """Note what became of deliveries, and how the target stands after it."""
        after = replace(target, attempts=0, failing_since=None, retry_at=None)
        with self._cursors.writing() as connection:
            for one in group:
                settled = replace(one, stage=stage, due=now, error=target.error)
                notifier_queue.move(connection, settled)
            notifier_queue.save(connection, after)
            # As long as it would be sent at all, so that one that begins again sends none twice.
            keep = max(_KEPT, self._rules.group, self._rules.stale)
            notifier_queue.prune(connection, self.name, Stage.SENT, now - keep)
            notifier_queue.prune(connection, self.name, Stage.DEAD, now - _DEAD_KEPT)
        return after

    def _put_off(
        self, group: Sequence[Delivery], target: Target, now: datetime, error: NotifierError
    ) -> None:
        """Try again later; what has waited for too long is given up."""
        attempts = target.attempts + 1
        _log.warning("%s: attempt %d failed: %s", self.label, attempts, error)
        later = retry_at(now, attempts)
        since = target.failing_since or now
        with self._cursors.writing() as connection:
            for one in group:
                is_over = min(one.due, now) < now - self._rules.stale
                stage = Stage.DEAD if is_over else Stage.WAITING
                at = now if is_over else one.due
                notifier_queue.move(
                    connection,
                    replace(one, stage=stage, due=at, attempts=one.attempts + 1, error=str(error)),
                )
            notifier_queue.save(
                connection,
                replace(
                    target, attempts=attempts, failing_since=since, retry_at=later, error=str(error)
                ),
            )
        self._idle_s = min(super().idle_s(), (later - now).total_seconds())


def _groups(due: Sequence[Delivery]) -> Iterator[list[Delivery]]:
    """Put together what is told in one message, the most urgent first."""
    ordered = sorted(due, key=lambda one: (one.site, one.kind, one.entry))
    groups = [list(found) for _, found in groupby(ordered, lambda one: (one.site, one.kind))]
    return iter(sorted(groups, key=lambda group: (not is_urgent(group[0].kind), group[0].entry)))


def places_of(sites: Sequence[SiteSettings]) -> dict[SiteId, Place]:
    """Make the places of sites."""
    return {
        SiteId(site.id): Place(
            name=site.name,
            zone=ZoneInfo(site.zone),
            doors={door.id: door.name for door in site.doors},
        )
        for site in sites
    }
