"""Between the reader's thread and a card: what the door wants is done, and nothing more."""

import pytest

from access.tokens import UNPROVEN, counter_of
from edge.badges.enrolling import Enrolment
from edge.badges.keys import SiteKeys
from edge.badges.meeting import Cards, Meeting
from edge.badges.wish import Want, Wish
from edge.presentation import CardRead, CardUnreadable, ReaderEvent, ReaderFailed, ReaderRecovered
from edge.reading import ReaderWatch
from edge.simulated.bench import Bench
from edge.simulated.card import VirtualCard
from edge.simulated.chip import Fault

SITE = SiteKeys(master=bytes(range(32)))
UID = bytes.fromhex("04112233445566")
ENROL = Enrolment(command="order-1", counter=1000, until=0.0)


class Watched:
    """A watch over the reader of a workbench, and a door that wants what it is told to want."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.wish: Wish = Want.UID
        self.fault = Fault.NONE
        self.asked: list[tuple[str, bytes]] = []
        self.events: list[ReaderEvent] = []
        meeting = Meeting(reader="in", memory=bench.reader, cards=Cards(keys=SITE, ask=self._ask))
        self.watch = ReaderWatch(
            name="in",
            reader=bench.reader,
            on_event=self.events.append,
            meet=meeting.meet,
            monotonic=bench.clock.monotonic,
        )

    def _ask(self, reader: str, uid: bytes) -> Wish:
        self.asked.append((reader, uid))
        self.bench.chip.fault = self.fault
        return self.wish

    def steps(self, count: int) -> list[ReaderEvent]:
        """Do some steps, and give what was told meanwhile."""
        before = len(self.events)
        for _ in range(count):
            self.bench.clock.sleep(self.watch.step())
        return self.events[before:]

    def present(self, card: VirtualCard, wish: Wish) -> list[ReaderEvent]:
        """Hold a card there for a while, after a while without any."""
        self.bench.chip.take()
        self.steps(20)
        self.wish = wish
        self.bench.chip.put(card)
        return self.steps(5)

    def enrolled(self) -> VirtualCard:
        """Make a card that is one of ours."""
        card = VirtualCard(UID)
        assert isinstance(self.present(card, ENROL)[0], CardRead)
        return card


@pytest.fixture
def watched(bench: Bench) -> Watched:
    return Watched(bench)


def told(events: list[ReaderEvent]) -> CardRead:
    (event,) = events
    assert isinstance(event, CardRead), event
    return event


def test_a_card_of_which_only_the_uid_is_wanted_costs_no_transfer_more(watched: Watched) -> None:
    bench = watched.bench
    bench.lay(UID.hex())
    bench.reader.poll()
    before = bench.chip.transfers
    bench.reader.poll()
    one_look = bench.chip.transfers - before
    before = bench.chip.transfers
    assert watched.steps(1) == [CardRead(reader="in", uid=UID)]
    assert bench.chip.transfers - before == one_look
    assert watched.asked == [("in", UID)]


def test_a_visit_costs_less_than_four_looks(watched: Watched) -> None:
    card = watched.enrolled()
    watched.bench.chip.take()
    watched.steps(20)
    watched.wish = Want.PROOF
    watched.bench.chip.put(card)
    before = watched.bench.chip.transfers
    assert told(watched.steps(1)).token is not None
    assert watched.bench.chip.transfers - before < 4 * 60


def test_a_card_that_proves_itself_is_told_once_with_its_new_token(watched: Watched) -> None:
    card = watched.enrolled()
    first, second = (told(watched.present(card, Want.PROOF)) for _ in range(2))
    assert first.token is not None
    assert second.token is not None
    assert counter_of(second.token) == counter_of(first.token) + 1


def test_a_card_that_does_not_is_told_with_the_token_of_none(watched: Watched) -> None:
    watched.enrolled()
    magic = watched.present(VirtualCard(UID), Want.PROOF)
    assert magic == [CardRead(reader="in", uid=UID, token=UNPROVEN)]


def test_a_card_that_is_enrolled_is_told_with_the_order(watched: Watched) -> None:
    event = told(watched.present(VirtualCard(UID), ENROL))
    assert event.enrolled == "order-1"
    assert event.token is not None
    assert counter_of(event.token) == ENROL.counter + 2


def test_a_card_that_can_t_be_enrolled_is_told_once(watched: Watched) -> None:
    foreign = VirtualCard(UID)
    for sector in (1, 2):
        foreign.set_keys(sector, key_a=b"random", key_b=b"unlike")
    events = watched.present(foreign, ENROL)
    assert events == [CardUnreadable(reader="in", why="foreign", uid=UID)]


def test_a_card_pulled_away_in_its_visit_is_no_read_and_is_met_anew_at_once(
    watched: Watched,
) -> None:
    card = watched.enrolled()
    watched.bench.chip.take()
    watched.steps(20)
    watched.wish = Want.PROOF
    watched.bench.chip.put(card)
    card.leave_after(air_bytes=150)
    assert watched.steps(1) == [CardUnreadable(reader="in", why="moved", uid=UID)]
    card.leave_after()
    card.enter_field()
    assert told(watched.steps(3)).token is not None


def test_a_card_that_can_t_be_written_is_told_once_and_not_again_and_again(
    watched: Watched,
) -> None:
    card = watched.enrolled()
    card.refuse_writes(10_000)
    events = watched.present(card, Want.PROOF)
    assert events == [CardUnreadable(reader="in", why="unsure", uid=UID)]


def test_another_card_in_its_place_is_not_taken_for_the_one_that_was_seen(bench: Bench) -> None:
    meeting = Meeting(
        reader="in",
        memory=bench.reader,
        cards=Cards(keys=SITE, ask=lambda _reader, _uid: Want.PROOF),
    )
    bench.lay("deadbeef")
    assert meeting.meet(UID) == CardUnreadable(reader="in", why="moved", uid=UID)


def test_a_reader_that_fails_in_a_visit_recovers_and_meets_the_card_anew(watched: Watched) -> None:
    card = watched.enrolled()
    watched.bench.chip.take()
    watched.steps(20)
    watched.wish, watched.fault = Want.PROOF, Fault.SILENT_LOW
    watched.bench.chip.put(card)
    assert [type(event) for event in watched.steps(1)] == [ReaderFailed]
    watched.fault = watched.bench.chip.fault = Fault.NONE
    recovered, read = watched.steps(3)
    assert isinstance(recovered, ReaderRecovered)
    assert told([read]).token is not None
