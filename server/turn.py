"""One turn of the gate: what it works on, and what comes of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from msgspec.structs import asdict

from access.ids import MemberId, RequestId
from access.journal import SERVER, chained
from access.messages import OccupancyReport
from access.model import Policy
from access.watch import Phase
from server.effects import Announce, Effect, Keep
from server.state import SiteState

Opening = Literal["hours", "watch", "closing", "closed"]


@dataclass(slots=True, kw_only=True)
class Turn:
    """The policy, the state and the time of one turn, and the effects gathered so far."""

    policy: Policy
    state: SiteState
    now: datetime
    effects: list[Effect] = field(default_factory=list)

    def note(
        self,
        kind: str,
        time: datetime,
        data: Mapping[str, Any],
        *,
        member: MemberId | None = None,
        request: RequestId | None = None,
    ) -> None:
        """Add a record to the server's own chain.

        Args:
            kind: what happened, without the leading `gardien.`.
            time: when it happened.
            data: what else there is to say, JSON values only.
            member: whom it is about, if anybody.
            request: the request that it decides, if it is a decision.
        """
        record, self.state.own = chained(
            self.state.own,
            site=self.policy.site,
            source=SERVER,
            kind=kind,
            time=time,
            data=data,
        )
        self.effects.append(
            Keep(source=SERVER, record=record, time=time, member=member, request=request)
        )

    def alert(
        self, what: str, time: datetime, data: Mapping[str, Any], member: MemberId | None = None
    ) -> None:
        """Record something that somebody should hear of at once."""
        self.note(f"alert.{what}", time, data, member=member)

    def opening(self) -> Opening:
        """What keeps the site open now, if anything."""
        if self.policy.is_open(self.now):
            return "hours"
        watch = self.state.watch
        phase = Phase.CLOSED if watch is None else watch.phase_at(self.now)
        if phase is Phase.OPEN:
            return "watch"
        return "closing" if phase is Phase.CLOSING else "closed"

    def count(self, time: datetime) -> None:
        """Record and announce the numbers, if they are others than last time.

        Args:
            time: when what changed them happened; one before the last count is taken as that.
        """
        last = self.state.reported
        presence = self.state.presence
        numbers: dict[str, Any] = {
            "present": presence.present,
            "margin": presence.margin,
            "members": presence.members,
            "guests": presence.guests,
            "capacity": self.policy.capacity,
            "open": self.opening(),
        }
        self.state.peak = max(self.state.peak, numbers["present"])
        self.state.peak_guests = max(self.state.peak_guests, numbers["guests"])
        if last is not None and asdict(last) == numbers | {"at": last.at}:
            return
        at = time if last is None else max(time, last.at)
        report = self.state.reported = OccupancyReport(at=at, **numbers)
        self.note("occupancy.changed", at, numbers)
        self.effects.append(Announce(report=report))
