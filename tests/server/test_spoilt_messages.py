"""Whatever becomes of a door's messages on the way: the gate bears it, and decides as before."""

import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from access.ids import BadgeDigest, DoorId, MemberId, SiteId
from access.instants import Span, from_rfc3339
from access.journal import Head, chained
from access.messages import DoorState, encode
from access.model import Badge, Door, Member, Plan, Policy, Reader
from runtime.link import Incoming
from server.database import open_database
from server.effects import Answer
from server.gatehouse import Gatehouse
from server.intake import Intake
from server.verify import verify_site
from tests.server.migrated import put_migrated
from tests.spoilt import spoilt

SITE, MAIN = SiteId("malakoff"), DoorId("main")
NOON = from_rfc3339("2026-11-24T12:00:00Z")
SAM, BADGE = MemberId("sam"), BadgeDigest("5" * 32)
MESSAGES = 12
"""To one gate, one after the other."""


def rules() -> Policy:
    return Policy(
        version=1,
        site=SITE,
        issued=NOON,
        relies_until=NOON,
        capacity=60,
        doors={MAIN: Door(id=MAIN, name="Main", plans=frozenset(Plan), readers=tuple(Reader))},
        members={SAM: Member(id=SAM, plan=Plan.NOMAD)},
        badges={BADGE: Badge(digest=BADGE, member=SAM)},
        opening=(Span(start=NOON, end=NOON.replace(hour=18)),),
    )


def request(number: int = 1, badge: str = BADGE) -> dict[str, Any]:
    return {
        "id": f"00000000-0000-7000-8000-{number:012x}",
        "at": "2026-11-24T12:00:00Z",
        "reader": "in",
        "badge": badge,
        "token": None,
    }


def journal() -> dict[str, Any]:
    granted = {"request": request()["id"], "reader": "in", "badge": BADGE, "member": SAM,
               "reason": "opening_hours", "granted": True, "offline": True}  # fmt: skip
    watch = {"watch": "7" * 32, "guardian": SAM, "member": SAM, "request": request()["id"]}
    data: list[tuple[str, dict[str, Any]]] = [
        ("unit.started", {"version": "1"}),
        ("access.granted", granted),
        ("lock.unlocked", {}),
        ("door.opened", {"cause": "grant", "request": request()["id"]}),
        ("door.closed", {"open_s": 2.5}),
        ("access.denied", {**granted, "granted": False, "reason": "no_guardian"}),
        ("access.granted", {**granted, "reader": "out"}),
        ("watch.opened", watch),
        ("watch.passed", watch),
        ("passage.started", {"command": request()["id"], "by": SAM, "is_again": False}),
        ("passage.ended", {"cause": "release", "command": request()["id"], "by": SAM}),
        ("lock.locked", {"cause": "lockdown", "command": request()["id"], "by": SAM}),
        ("watch.closed", {**watch, "cause": "closed"}),
        ("clock.untrusted", {"jump_s": 3600.0}),
        ("door.forced", {"open_s": 1.0}),
    ]
    head, records = Head(), []
    for kind, what in data:
        record, head = chained(head, site=SITE, source=MAIN, kind=kind, time=NOON, data=what)
        records.append(record)
    return {"records": records, "oldest": 1}


STATE = json.loads(
    encode(
        DoorState(
            online=True, at=NOON, lock="locked", contact="closed", queue=3, policy=1, clock_ms=4,
            unit="1", readers={"in": "ok"}, temperature_c=41.5, fire=False, journal="ok",
        )
    )
)  # fmt: skip


def rechained(batch: dict[str, Any]) -> st.SearchStrategy[bytes]:
    """Records with odd data whose hashes fit, as from a door that is faulty itself."""
    usual = [(one["type"].removeprefix("gardien."), one["data"]) for one in batch["records"]]
    places = [(number, name) for number, (_, data) in enumerate(usual) for name in data]
    odd: st.SearchStrategy[Any] = st.sampled_from(
        [None, True, 0, -1, 2**53, "x", "", [], {}, [[]], 0.5, "9" * 40]
    )

    def chain(changes: dict[tuple[int, str], Any]) -> bytes:
        head, records = Head(), []
        for number, (kind, data) in enumerate(usual):
            data_now = {name: changes.get((number, name), one) for name, one in data.items()}
            record, head = chained(
                head, site=SITE, source=MAIN, kind=kind, time=NOON, data=data_now
            )
            records.append(record)
        return json.dumps({"records": records}).encode()

    return st.dictionaries(st.sampled_from(places), odd, min_size=1, max_size=4).map(chain)


SENT = st.one_of(
    st.tuples(st.just("request"), spoilt(request())),
    st.tuples(st.just("journal"), spoilt(journal())),
    st.tuples(st.just("journal"), rechained(journal())),
    st.tuples(st.just("state"), spoilt(STATE)),
)


@pytest.fixture
def empty() -> Iterator[Path]:
    """A database with nothing in it, where no disk makes anybody wait."""
    shm = Path("/dev/shm")  # noqa: S108 (a folder of one's own is made in it)
    with tempfile.TemporaryDirectory(dir=shm if shm.is_dir() else None) as folder:
        file = Path(folder) / "empty.db"
        put_migrated(file)
        yield file


@settings(
    max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(messages=st.lists(SENT, min_size=1, max_size=MESSAGES))
def test_the_gate_bears_whatever_became_of_a_message_and_decides_as_before(
    empty: Path, messages: list[tuple[str, bytes]]
) -> None:
    file = empty.with_name("gardien.db")
    for suffix in ("-wal", "-shm"):
        Path(f"{file}{suffix}").unlink(missing_ok=True)
    shutil.copyfile(empty, file)
    policy, intake = rules(), Intake({SITE: frozenset({MAIN})})
    with open_database(f"sqlite:///{file}") as database:
        gatehouse = Gatehouse(database=database, policy_of=lambda _: policy)

        def send(what: str, payload: bytes) -> list[Answer]:
            topic = f"gardien/1/{SITE}/{MAIN}/{what}"
            read = intake.read(Incoming(topic=topic, payload=payload), 0.0)
            effects = [] if read is None else gatehouse.handle(SITE, [read[1]], NOON)
            return [one for one in effects if isinstance(one, Answer)]

        for what, payload in messages:
            for answer in send(what, payload):
                known = {one.id for one in (policy.members[SAM],)}
                assert not answer.decision.granted or answer.decision.member in known
        (stranger,) = send("request", json.dumps(request(98, "6" * 32)).encode())
        assert not stranger.decision.granted
        (sam,) = send("request", json.dumps(request(99)).encode())
        assert sam.decision.granted
        with database.reading() as connection:
            assert all(report.is_whole for report in verify_site(connection, SITE))
