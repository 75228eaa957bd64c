"""The outbox: nothing that was recorded is lost, and what is lost by others' doing is told."""

import sqlite3
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from access.ids import DoorId, SiteId
from access.journal import NO_HASH, ChainError, Head, check, verify
from edge.outbox import Entry, Outbox, OutboxError, OutboxFullError

SITE, DOOR = SiteId("malakoff"), DoorId("main")
NOON = datetime(2026, 3, 3, 12, tzinfo=UTC)


def open_at(path: Path, capacity: int = 20_000) -> Outbox:
    return Outbox(path, site=SITE, door=DOOR, capacity=capacity)


def fill(outbox: Outbox, count: int) -> None:
    outbox.append_all(
        [Entry(kind="door.opened", time=NOON, data={"n": number}) for number in range(count)]
    )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "outbox.db"


@pytest.fixture
def outbox(path: Path) -> Iterator[Outbox]:
    with open_at(path) as outbox:
        yield outbox


def test_records_are_numbered_from_one_and_chained(outbox: Outbox) -> None:
    assert [outbox.append("unit.started", NOON, {"n": n}) for n in range(3)] == [1, 2, 3]
    records = outbox.after(0)
    assert verify(records) == outbox.head
    assert records[0]["id"] == "malakoff/main/1"
    assert records[0]["prev"] == NO_HASH
    assert records[2]["data"] == {"n": 2}


def test_records_are_given_in_order_after_a_number_and_at_most_so_many(outbox: Outbox) -> None:
    fill(outbox, 250)
    assert [record["seq"] for record in outbox.after(0)] == list(range(1, 101))
    assert [record["seq"] for record in outbox.after(200)] == list(range(201, 251))
    assert outbox.after(250) == []


def test_the_chain_goes_on_after_what_was_acknowledged_is_deleted(path: Path) -> None:
    with open_at(path) as outbox:
        fill(outbox, 5)
        head = outbox.head
        outbox.acknowledge(5)
        assert len(outbox) == 0
    with open_at(path) as outbox:
        assert (outbox.head, outbox.acknowledged) == (head, 5)
        assert outbox.append("door.closed", NOON, {}) == 6
        assert check(head, outbox.after(5)[0]) == outbox.head


def test_acknowledging_a_part_keeps_the_rest(outbox: Outbox) -> None:
    fill(outbox, 5)
    outbox.acknowledge(3)
    assert (len(outbox), outbox.acknowledged) == (2, 3)
    assert [record["seq"] for record in outbox.after(0)] == [4, 5]


def test_several_records_and_values_are_kept_together_or_not_at_all(path: Path) -> None:
    with open_at(path, capacity=2) as outbox:
        entries = [Entry(kind="door.opened", time=NOON, data={}) for _ in range(3)]
        with pytest.raises(OutboxFullError, match="at most 2"):
            outbox.append_all(entries, {"lockdown": "on"})
        assert len(outbox) == 0
        assert outbox.kept("lockdown") is None


def test_a_record_that_json_has_no_words_for_spoils_nothing(outbox: Outbox) -> None:
    outbox.append("door.opened", NOON, {})
    with pytest.raises(TypeError):
        outbox.append("door.opened", NOON, {"what": object()})
    assert outbox.append("door.closed", NOON, {}) == 2


def test_it_says_when_it_is_nearly_full_and_refuses_rather_than_overwrite(path: Path) -> None:
    with open_at(path, capacity=10) as outbox:
        told = []
        for count in (8, 1, 1):
            fill(outbox, count)
            told.append(outbox.is_nearly_full)
        assert told == [False, True, True]
        with pytest.raises(OutboxFullError):
            fill(outbox, 1)
        outbox.keep("lockdown", "on")
        assert [record["seq"] for record in outbox.after(0)] == list(range(1, 11))
        outbox.acknowledge(5)
        assert not outbox.is_nearly_full
        assert outbox.append("door.closed", NOON, {}) == 11


def test_values_survive_and_can_be_forgotten(path: Path) -> None:
    with open_at(path) as outbox:
        outbox.keep("policy", "{}")
        outbox.append("door.opened", NOON + timedelta(hours=1), {})
    with open_at(path) as outbox:
        assert outbox.kept("policy") == "{}"
        assert outbox.last_at == NOON + timedelta(hours=1)
        outbox.keep("policy", None)
        assert outbox.kept("policy") is None


def test_closing_twice_is_harmless_and_using_it_again_opens_it(outbox: Outbox) -> None:
    outbox.append("door.opened", NOON, {})
    outbox.close()
    outbox.close()
    assert len(outbox) == 1


def test_every_commit_waits_for_the_disk_but_a_deletion_does_not(outbox: Outbox) -> None:
    def synchronous() -> int:
        return int(outbox._open().execute("PRAGMA synchronous").fetchone()[0])  # noqa: SLF001

    assert outbox._open().execute("PRAGMA journal_mode").fetchone() == ("wal",)  # noqa: SLF001
    fill(outbox, 1)
    assert synchronous() == 2
    outbox.acknowledge(1)
    assert synchronous() == 1
    fill(outbox, 1)
    assert synchronous() == 2


def test_a_file_that_somebody_else_has_is_waited_for_and_then_an_error(
    outbox: Outbox, path: Path
) -> None:
    fill(outbox, 1)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(OutboxError, match="locked"):
        fill(outbox, 1)
    other.execute("ROLLBACK")
    other.close()
    fill(outbox, 1)
    assert outbox.head.seq == 2


def test_a_folder_that_is_not_there_is_an_error_and_nothing_is_renamed(tmp_path: Path) -> None:
    with pytest.raises(OutboxError):
        open_at(tmp_path / "nowhere" / "outbox.db")
    assert list(tmp_path.iterdir()) == []


# Broken files


def broken(path: Path, how: bytes) -> None:
    """Write over the middle of the file."""
    with open_at(path) as outbox:
        fill(outbox, 200)
        outbox.keep("lockdown", "on")
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + len(how)] = how
    path.write_bytes(content)


def test_a_file_that_is_no_outbox_is_set_aside_and_named(path: Path) -> None:
    path.write_bytes(b"not a database at all, and long enough to be taken for one" * 100)
    with open_at(path) as outbox:
        assert outbox.lost == "outbox.db.unreadable-1"
        assert outbox.append("unit.started", NOON, {"lost_outbox": outbox.lost}) == 1
    assert (path.parent / "outbox.db.unreadable-1").read_bytes().startswith(b"not a database")
    with open_at(path) as outbox:
        assert outbox.lost == "outbox.db.unreadable-1"
        outbox.settle()
        assert outbox.lost is None


def test_a_torn_file_is_set_aside_and_work_goes_on_with_a_new_chain(path: Path) -> None:
    broken(path, bytes(9000))
    with open_at(path) as outbox:
        assert outbox.lost is not None
        assert outbox.head == Head()
        assert outbox.append("unit.started", NOON, {}) == 1


def test_a_record_that_was_changed_is_found_at_the_start(path: Path) -> None:
    with open_at(path) as outbox:
        fill(outbox, 3)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("UPDATE record SET body = replace(body, 'opened', 'closed') WHERE seq = 2")
    other.close()
    with open_at(path) as outbox:
        assert outbox.lost is not None


def test_a_record_that_is_missing_is_found_at_the_start(path: Path) -> None:
    with open_at(path) as outbox:
        fill(outbox, 3)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("DELETE FROM record WHERE seq = 3")
    other.close()
    with open_at(path) as outbox:
        assert outbox.lost is not None


def test_a_lockdown_survives_the_loss_of_the_records(path: Path) -> None:
    with open_at(path) as outbox:
        fill(outbox, 3)
        outbox.keep("lockdown", "on")
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("DELETE FROM record WHERE seq = 2")
    other.close()
    with open_at(path) as outbox:
        assert outbox.kept("lockdown") == "on"
        assert outbox.head == Head()


def test_a_second_broken_file_does_not_replace_the_first(path: Path) -> None:
    for number in (1, 2):
        path.write_bytes(b"x" * 5000)
        with open_at(path) as outbox:
            assert outbox.lost == f"outbox.db.unreadable-{number}"
    assert len(list(path.parent.glob("*.unreadable-?"))) == 2


@settings(deadline=None, max_examples=60)
@given(
    where=st.floats(0, 1),
    what=st.binary(min_size=1, max_size=600),
    length=st.floats(0.05, 1),
)
def test_whatever_is_written_over_the_file_it_opens_and_its_chain_verifies(
    tmp_path_factory: pytest.TempPathFactory, where: float, what: bytes, length: float
) -> None:
    path = tmp_path_factory.mktemp("torn") / "outbox.db"
    with open_at(path) as outbox:
        fill(outbox, 60)
        outbox.acknowledge(20)
    content = bytearray(path.read_bytes())
    start = int(where * (len(content) - len(what)))
    content[start : start + len(what)] = what
    path.write_bytes(content[: max(int(length * len(content)), 1)])
    with open_at(path) as outbox:
        seq = outbox.append("unit.started", NOON, {})
        records = outbox.after(0, 1000)
        assert len(records) == len(outbox)
        first = records[0]
        verify(records, Head(seq=first["seq"] - 1, hash=first["prev"]))
        assert records[-1]["seq"] == seq
        assert outbox.lost is not None or seq == 61


# A full disk


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of five megabytes, where this user may make one."""
    mount = ["mount", "-t", "tmpfs", "-o", "size=5m", "tmpfs", str(tmp_path)]
    if subprocess.run(mount, check=False, capture_output=True).returncode != 0:
        pytest.skip("this user may not mount a small disk (needs root)")
    yield tmp_path
    subprocess.run(["umount", str(tmp_path)], check=True)


def fill_up(outbox: Outbox, told: list[bool]) -> None:
    """Record until there is no room, and note what it says of it."""
    while True:
        fill(outbox, 1)
        told.append(outbox.is_nearly_full)


def test_on_a_full_disk_it_warns_refuses_loses_nothing_and_can_be_emptied(
    small_disk: Path,
) -> None:
    with open_at(small_disk / "outbox.db") as outbox:
        (small_disk / "fat").write_bytes(bytes(2_000_000))
        told = [outbox.is_nearly_full]
        with pytest.raises(OutboxFullError):
            fill_up(outbox, told)
        count = len(outbox)
        assert (told[0], told[-1], len(told)) == (False, True, count + 1)
        assert told.count(True) > 20
        assert verify(outbox.after(0, 10_000)) == outbox.head
        with pytest.raises(OutboxFullError):
            fill(outbox, 1)
        outbox.acknowledge(count)
        assert len(outbox) == 0
        fill(outbox, 1)
        (small_disk / "fat").unlink()
        outbox.acknowledge(count + 1)
        assert [outbox.is_nearly_full] == [False]


# A server that knows more than the door


def test_anchored_after_the_servers_number_the_records_get_new_ones(outbox: Outbox) -> None:
    fill(outbox, 3)
    outbox.anchor(500)
    records = outbox.after(0)
    assert [record["seq"] for record in records] == [501, 502, 503]
    assert [record["data"]["n"] for record in records] == [0, 1, 2]
    assert outbox.acknowledged == 500
    verify(records, Head(seq=500))
    with pytest.raises(ChainError):
        check(Head(seq=500, hash="1" * 64), records[0])
    assert outbox.append("door.closed", NOON, {}) == 504
    assert outbox.lost is None
