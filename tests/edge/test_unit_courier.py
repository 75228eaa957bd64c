"""When the journal is sent, and when it is sent again."""

from hypothesis import given, settings
from hypothesis import strategies as st

from edge.courier import BATCH, FIRST_WAIT_S, LONGEST_WAIT_S, Courier


def up(acknowledged: int = 0, *, is_probing: bool = False) -> Courier:
    courier = Courier(acknowledged=acknowledged, is_probing=is_probing)
    courier.link(is_up=True)
    return courier


def send(courier: Courier, head: int, mono: float = 0.0) -> list[tuple[int, int]]:
    """Send all that may be sent now."""
    parts = []
    while (part := courier.next_after(head, mono)) is not None:
        parts.append(part)
        courier.has_sent(part[0] + part[1], mono)
    return parts


def test_without_a_link_nothing_is_sent() -> None:
    assert send(Courier(acknowledged=0), 10) == []


def test_new_records_go_out_at_once_and_in_order() -> None:
    courier = up()
    assert send(courier, 3) == [(0, 3)]
    assert send(courier, 4) == [(3, 1)]


def test_at_most_four_batches_are_under_way() -> None:
    courier = up()
    assert send(courier, 1000) == [(0, BATCH), (100, BATCH), (200, BATCH), (300, BATCH)]
    assert courier.acknowledge(100, 0.0)
    assert send(courier, 1000) == [(400, BATCH)]


def test_what_is_not_acknowledged_is_sent_again_ever_more_slowly() -> None:
    courier, mono, waits = up(), 0.0, []
    send(courier, 1, mono)
    for _ in range(7):
        due = courier.due
        assert due is not None
        assert send(courier, 1, due - 0.001) == []
        assert send(courier, 1, due) == [(0, 1)]
        waits.append(due - mono)
        mono = due
    assert waits == [2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0]
    assert waits[0] == FIRST_WAIT_S
    assert waits[-1] == LONGEST_WAIT_S


def test_a_new_connection_begins_after_what_was_acknowledged_without_waiting() -> None:
    courier = up()
    send(courier, 200)
    courier.acknowledge(100, 0.0)
    courier.link(is_up=False)
    assert (send(courier, 200), courier.due) == ([], None)
    courier.link(is_up=True)
    assert send(courier, 200) == [(100, 100)]


def test_when_all_is_acknowledged_nothing_is_due() -> None:
    courier = up()
    send(courier, 5)
    assert courier.acknowledge(5, 1.0)
    assert courier.due is None


def test_a_number_that_is_no_news_is_a_gap_and_is_sent_again_from_there_but_not_in_a_storm() -> (
    None
):
    courier = up()
    send(courier, 400)
    assert not courier.acknowledge(0, 1.0)
    assert send(courier, 400, 1.0)[0] == (0, BATCH)
    assert not courier.acknowledge(0, 1.1)
    assert send(courier, 400, 1.1) == []
    assert not courier.acknowledge(0, 1.3)
    assert send(courier, 400, 1.3)[0] == (0, BATCH)


def test_a_repeated_acknowledgement_of_everything_changes_nothing() -> None:
    courier = up()
    send(courier, 5)
    courier.acknowledge(5, 0.0)
    assert not courier.acknowledge(5, 9.0)
    assert not courier.acknowledge(3, 9.0)
    assert send(courier, 5, 9.0) == []


def test_after_a_loss_one_record_asks_what_the_server_holds() -> None:
    courier = up(is_probing=True)
    assert send(courier, 50) == [(0, 1)]
    courier.start_after(500)
    assert send(courier, 550) == [(500, 50)]


@settings(max_examples=200)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["new", "lose", "deliver", "duplicate", "cut"]), st.integers(1, 250)
        ),
        max_size=60,
    )
)
def test_over_a_link_that_loses_and_repeats_all_arrives_in_the_end(
    story: list[tuple[str, int]],
) -> None:
    courier, head, held, mono = up(), 0, 0, 0.0

    def deliver(parts: list[tuple[int, int]]) -> None:
        nonlocal held
        for after, count in parts:
            held = max(held, after + count) if after <= held else held
            if courier.acknowledge(held, mono):
                assert courier.acknowledged <= held

    for what, number in [*story, *[("deliver", 1)] * 60]:
        head += number if what == "new" else 0
        mono += 0.5 if what != "deliver" else LONGEST_WAIT_S
        if what == "cut":
            courier.link(is_up=False)
            courier.link(is_up=True)
        parts = send(courier, head, mono)
        if what in {"deliver", "duplicate"}:
            deliver(parts)
        if what == "duplicate":
            deliver(parts)
    assert courier.acknowledged == held == head
