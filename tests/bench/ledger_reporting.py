"""Doors that hand in their journals, as far as the server sees them: bytes of MQTT messages."""

import random
import time
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from access import topics
from access.ids import DoorId, SiteId
from access.journal import Head, chained
from access.messages import JournalBatch, encode
from runtime.link import Incoming
from server import ledger
from server.events import Reported
from server.intake import Intake
from tests.bench.ledger_filling import opening
from tests.bench.ledger_place import Place


@dataclass(slots=True, kw_only=True)
class Reporting:
    """The doors of a site, each with a batch of records at a time.

    Attributes:
        place: whose server takes them in.
        site: whose doors they are.
        doors: which.
        members: how many come and go.
        each: how many records each door hands in at a time; a multiple of ten.
    """

    place: Place
    site: SiteId
    doors: tuple[DoorId, ...]
    members: int
    each: int
    _heads: dict[DoorId, Head] = field(default_factory=dict)
    _intake: Intake = field(init=False)
    _dice: random.Random = field(default_factory=lambda: random.Random(11))  # noqa: S311 (not for secrets)
    _is_in: bool = False
    _who: int = 0

    def __post_init__(self) -> None:
        """Go on where the doors' journals end."""
        self._intake = Intake({self.site: frozenset(self.doors)})
        with self.place.database.reading() as connection:
            for door in self.doors:
                self._heads[door] = ledger.head(connection, self.site, door)

    def take_in(self) -> float:
        """Hand in one batch of each door, in one transaction; give the seconds of one record.

        Raises:
            RuntimeError: something was not acknowledged as a whole.
        """
        messages = [self._message(door) for door in self.doors]
        gatehouse, now = self.place.installation.gatehouse, self.place.installation.clock.now()
        start = time.perf_counter()
        read = [self._intake.read(message, 0.0) for message in messages]
        events = [one[1] for one in read if one is not None and isinstance(one[1], Reported)]
        gatehouse.handle(self.site, events, now)
        taken_s = time.perf_counter() - start
        if any(
            gatehouse.look(self.site).door(door).head != self._heads[door] for door in self.doors
        ):
            raise RuntimeError("a journal was not taken in as a whole")
        return taken_s / (self.each * len(self.doors))

    def _message(self, door: DoorId) -> Incoming:
        records = tuple(self._records(door))
        return Incoming(
            topic=topics.of_door(self.site, door, topics.JOURNAL),
            payload=encode(JournalBatch(records=list(records))),
        )

    def _records(self, door: DoorId) -> list[dict[str, Any]]:
        made: list[dict[str, Any]] = []
        while len(made) < self.each:
            # Each comes in and goes out again, so that as many are inside as before.
            self._is_in = not self._is_in
            self._who = self._dice.randrange(self.members) if self._is_in else self._who
            reader = "in" if self._is_in else "out"
            for kind, data in opening(str(uuid4()), reader=reader, number=self._who):
                record, self._heads[door] = chained(
                    self._heads[door],
                    site=self.site,
                    source=door,
                    kind=kind,
                    time=self.place.installation.clock.now(),
                    data=data,
                )
                made.append(record)
        return made
