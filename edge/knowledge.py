"""The watch that a door knows of: opened here, or heard of in the server's answers."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

import msgspec

from access.ids import DoorId, MemberId, RequestId, WatchId
from access.model import Audience, Authorization, Policy
from access.policy import Reason
from access.watch import Phase, Watch, open_watch, start_closing
from edge.effects import Effect, Keep, note
from edge.events import Moment
from edge.verdict import Verdict

KEPT_AS: Final = "watch"

_NO_WATCH: Final = frozenset(
    {Reason.NO_GUARDIAN.value, Reason.GUARDIAN_NOT_AUTHORIZED.value, Reason.OPENING_HOURS.value}
)
"""Answers of the server from which it follows that no watch runs."""

_NARROWNESS: Final = (Audience.REGISTERED, Audience.MEMBERS, Audience.PUBLIC)


@dataclass(slots=True, kw_only=True)
class WatchKnowledge:
    """What the door knows of the running watch.

    Attributes:
        watch: the watch, or None if it knows of none.
        opened_alone: whether this door opened it by itself, so that it tells how it ended.
        until_mono: monotonic time until which it may be kept; None for one kept from before.
    """

    watch: Watch | None = None
    opened_alone: bool = False
    until_mono: float | None = None

    def at(self, moment: datetime) -> Watch | None:
        """Give the watch, as long as the door may keep it: until its authorization ends."""
        watch = self.watch
        if watch is None or moment >= watch.authorized_until:
            return None
        return watch

    def in_doubt(self, now: Moment) -> Watch | None:
        """Give the watch as `at` does, where the time of day is in doubt: counted since it began.

        Of a watch that was kept from before the start nobody can tell then whether it is still on.
        """
        if self.until_mono is None or now.mono >= self.until_mono:
            return None
        return self.watch

    def learn(
        self,
        verdict: Verdict,
        policy: Policy | None,
        door: DoorId,
        now: Moment,
        *,
        is_clock_trusted: bool,
    ) -> Iterator[Effect]:
        """Learn from an answer, the server's or one's own.

        With a clock in doubt nobody can tell which authorization is behind a watch that is heard
        of, nor how long it runs: the door, once alone, does as if there were none.
        """
        if verdict.opens_under is not None:
            yield from self._open(verdict, verdict.opens_under, policy, door, now)
        elif not verdict.is_offline:
            yield from self._hear(verdict, policy if is_clock_trusted else None, door, now)

    def confirm(self, watch_id: WatchId) -> Iterator[Effect]:
        """The door was opened after the grant that opened the watch."""
        if self.watch is not None and self.watch.id == watch_id and not self.watch.is_confirmed:
            yield from self._set(replace(self.watch, is_confirmed=True))

    def lapse(self, watch_id: WatchId, now: Moment) -> Iterator[Effect]:
        """The door was not opened after it: the watch never was."""
        watch = self.watch
        if watch is None or watch.id != watch_id or watch.is_confirmed:
            return
        if self.opened_alone:
            yield note("watch.closed", now, watch=watch.id, guardian=watch.guardian, cause="lapsed")
        yield from self._set(None)

    def left(self, member: MemberId | None, now: Moment) -> Iterator[Effect]:
        """A member went out: if they hold the watch, it is closing, until the server says more."""
        watch = self.watch
        if watch is not None and watch.guardian == member and watch.closing_since is None:
            yield from self._set(start_closing(watch, now.at))

    def forget_if_over(self, now: Moment) -> Iterator[Effect]:
        """Forget a watch whose authorization has ended."""
        if self.watch is not None and self.at(now.at) is None:
            yield from self._set(None)

    def is_public_under(self, member: MemberId | None, moment: datetime) -> bool:
        """Whether `member` holds a watch that is open, for a public event."""
        watch = self.at(moment)
        return (
            watch is not None
            and watch.guardian == member
            and watch.audience is Audience.PUBLIC
            and watch.phase_at(moment) is Phase.OPEN
        )

    def _open(
        self,
        verdict: Verdict,
        authorization: Authorization,
        policy: Policy | None,
        door: DoorId,
        now: Moment,
    ) -> Iterator[Effect]:
        if verdict.watch is None or policy is None:
            return
        watch = open_watch(
            verdict.watch,
            authorization,
            door,
            now.at,
            policy.closing_delay,
            longest=policy.longest_watch,
        )
        yield note(
            "watch.opened",
            now,
            watch=watch.id,
            guardian=watch.guardian,
            member=watch.guardian,
            request=verdict.request,
        )
        yield from self._begin(watch, now)
        self.opened_alone = True

    def _hear(
        self, verdict: Verdict, policy: Policy | None, door: DoorId, now: Moment
    ) -> Iterator[Effect]:
        if verdict.reason in _NO_WATCH:
            yield from self._set(None)
        elif verdict.reason == Reason.WATCH_CLOSING.value and self.watch is not None:
            yield from self._set(start_closing(self.watch, now.at))
        elif verdict.watch is not None and policy is not None:
            yield from self._hear_of(verdict.watch, verdict, policy, door, now)
        elif self.watch is not None and verdict.watch not in {None, self.watch.id}:
            yield from self._set(None)

    def _hear_of(
        self, watch_id: WatchId, verdict: Verdict, policy: Policy, door: DoorId, now: Moment
    ) -> Iterator[Effect]:
        if self.watch is not None and self.watch.id == watch_id:
            yield from self._hear_again(self.watch, verdict, policy)
            return
        opens = verdict.reason == Reason.WATCH_OPENED.value and verdict.member is not None
        found = (
            policy.authorization(MemberId(verdict.member or ""), now.at)
            if opens
            else _most_careful(policy, now.at)
        )
        if found is not None:
            watch = open_watch(
                watch_id, found, door, now.at, policy.closing_delay, longest=policy.longest_watch
            )
            yield from self._begin(watch if opens else replace(watch, is_confirmed=True), now)

    def _hear_again(self, watch: Watch, verdict: Verdict, policy: Policy) -> Iterator[Effect]:
        """A member was admitted under a watch that seemed to be closing: it was passed on."""
        is_guardian = verdict.member is not None and policy.is_guardian(verdict.member)
        if verdict.granted and watch.closing_since is not None and not is_guardian:
            yield from self._set(replace(watch, closing_since=None))

    def _begin(self, watch: Watch, now: Moment) -> Iterator[Effect]:
        yield from self._set(watch)
        self.until_mono = now.mono + (watch.authorized_until - now.at).total_seconds()

    def _set(self, watch: Watch | None) -> Iterator[Effect]:
        if watch == self.watch:
            return
        if watch is None or self.watch is None or watch.id != self.watch.id:
            self.opened_alone, self.until_mono = False, None
        self.watch = watch
        kept = None if watch is None else msgspec.json.encode(watch).decode()
        yield Keep(key=KEPT_AS, value=kept)


def read_watch(kept: str | None) -> Watch | None:
    """Read a watch that was kept; None if there is none, or it can't be read."""
    if kept is None:
        return None
    try:
        return msgspec.json.decode(kept.encode(), type=Watch)
    except msgspec.DecodeError:
        return None


def request_of(watch: Watch | None, request: RequestId | None) -> WatchId | None:
    """Give the watch's id if `request` is what opened it."""
    if watch is None or request is None:
        return None
    return watch.id if watch.id == request.replace("-", "") else None


def _most_careful(policy: Policy, at: datetime) -> Authorization | None:
    """Choose, among what may be behind a watch that was heard of, what ends first and admits least.

    An answer names the watch, not whose it is.
    """
    fitting = [a for each in policy.authorizations.values() for a in each if a.allows_opening(at)]
    return min(
        fitting,
        key=lambda a: (a.over_by, _NARROWNESS.index(a.audience), a.id),
        default=None,
    )
