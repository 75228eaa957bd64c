"""Whether the row of a site's state is what follows from its ledger.

The doors and the pages work from that row. It is written with the entries that it follows from; a
hand or a disk that changed it since is found by following the ledger once more.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from sqlalchemy import Connection

from access.ids import DoorId, MemberId, SiteId
from access.journal import SERVER, Head
from access.watch import Watch
from server import ledger
from server.ledger import StoredEntry
from server.replay import KINDS, SWEPT, Replay, RunningWatch
from server.state import SiteState, from_json
from server.verify import Advance, ChainReport

_SETTLED: Final = timedelta(days=1)
"""What was under way so long before a sweep has nothing to do with what came after it."""

_SWEPT: Final = 20
"""How many sweeps are looked at for one to begin at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StateReport:
    """What was found in the state of one site.

    Attributes:
        problems: how it differs from what follows from the ledger, in words.
        unknown: what could not be compared, and why; None when all was.
    """

    site: SiteId
    problems: tuple[str, ...] = ()
    unknown: str | None = None

    @property
    def is_whole(self) -> bool:
        """Whether nothing differs."""
        return not self.problems


def verify_state(
    connection: Connection,
    site: SiteId,
    chains: Sequence[ChainReport],
    without_contact: frozenset[DoorId] = frozenset(),
    on_entries: Advance = lambda _: None,
) -> StateReport:
    """Compare a site's state with its ledger. Reads only.

    Takes time in what happened since the last sweeps, or in the whole ledger where there were none.

    Args:
        connection: of a transaction; of the same one in which the chains were verified.
        site: whose.
        chains: what was found in its chains.
        without_contact: doors that can't see whether they are open.
        on_entries: called now and then.
    """
    loaded = ledger.load_state(connection, site)
    if loaded is None:
        problem = ("there is a ledger, and no state",) if chains else ()
        return StateReport(site=site, problems=problem)
    try:
        state = from_json(loaded[1])
    except ValueError as error:
        return StateReport(site=site, problems=(f"the state can't be read: {error}",))
    replay = Replay(site=site, without_contact=without_contact)
    try:
        for entry in _entries(connection, site, on_entries):
            replay.take(entry)
    except (ValueError, LookupError, TypeError) as error:
        problems = tuple(_heads(state, chains))
        return StateReport(
            site=site, problems=problems, unknown=f"who is inside: an entry can't be read ({error})"
        )
    problems = (*_heads(state, chains), *_watch(state.watch, replay.watch), *_people(state, replay))
    unknown = "who is inside: the ledger has forgotten it" if replay.is_blurred else None
    return StateReport(site=site, problems=problems, unknown=unknown)


def _entries(connection: Connection, site: SiteId, advance: Advance) -> Iterator[StoredEntry]:
    """Give what a replay follows, from where it may begin."""
    after = _beginning(connection, site)
    while entries := ledger.read(connection, site, after_id=after, kinds=KINDS):
        after = entries[-1].id
        yield from entries
        advance(len(entries))


def _beginning(connection: Connection, site: SiteId) -> int:
    """Give the id of the entry after which to begin; 0 for the first of all."""
    swept = [e for e in ledger.latest(connection, site, _SWEPT, [SWEPT]) if e.source == SERVER]
    settled = (one for one in swept if one.time <= swept[0].time - _SETTLED)
    return next((one.id - 1 for one in settled), 0)


def _heads(state: SiteState, chains: Sequence[ChainReport]) -> Iterator[str]:
    """Compare the ends of the chains; those that are broken are told as such already."""
    known: Mapping[str, Head] = {SERVER: state.own} | {d: t.head for d, t in state.doors.items()}
    found = {chain.source: chain.head for chain in chains if chain.is_whole}
    for source in sorted({*found, *(s for s, head in known.items() if head.seq)}):
        here, there = known.get(source, Head()), found.get(source, Head())
        if here != there and (source in found or all(c.source != source for c in chains)):
            yield (
                f"the state knows {source} up to {here.seq} ({here.hash[:12]}…), "
                f"the ledger has it up to {there.seq} ({there.hash[:12]}…)"
            )


def _watch(watch: Watch | None, replayed: RunningWatch | None) -> Iterator[str]:
    if watch is None or replayed is None:
        if (watch is None) != (replayed is None):
            yield f"by the state {_told(watch)} runs, by the ledger {_told(replayed)}"
        return
    is_closing = watch.closing_since is not None
    here = RunningWatch(
        id=watch.id,
        guardian=None if replayed.guardian is None else watch.guardian,
        is_confirmed=watch.is_confirmed,
        is_closing=is_closing,
    )
    if here != replayed:
        yield f"by the state {_told(here)} runs, by the ledger {_told(replayed)}"


def _told(watch: Watch | RunningWatch | None) -> str:
    if watch is None:
        return "no watch"
    if isinstance(watch, Watch):
        return f"watch {watch.id} of {watch.guardian}"
    confirmed = "confirmed" if watch.is_confirmed else "not confirmed"
    closing = ", closing" if watch.is_closing else ""
    return f"watch {watch.id} of {watch.guardian} ({confirmed}{closing})"


def _people(state: SiteState, replay: Replay) -> Iterator[str]:
    presence = state.presence
    counted = presence.present, presence.margin
    if replay.counted is not None and counted != replay.counted:
        yield (
            f"by the state {counted[0]} are present, {counted[1]} more at the most; "
            f"the ledger's last count says {replay.counted[0]} and {replay.counted[1]}"
        )
    if replay.is_blurred:
        return
    here, there = set(presence.inside), set(replay.presence.inside)
    yield from _named("inside by the state only", here - there)
    yield from _named("inside by the ledger only", there - here)
    for what in ("guests", "gone", "unattributed"):
        ours, theirs = getattr(presence, what), getattr(replay.presence, what)
        if ours != theirs:
            yield f"{what}: {ours} by the state, {theirs} by the ledger"


def _named(what: str, members: set[MemberId]) -> Iterator[str]:
    if members:
        yield f"{what}: {', '.join(sorted(members))}"
