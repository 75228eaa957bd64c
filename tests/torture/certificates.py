"""A door whose certificate is revoked, runs out, or is not valid yet (F23), on the shipped broker.

It gets no connection within a minute, says so, and decides by itself; with a good one all goes on.
"""

import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.shipped_broker import DAY, Identity, ShippedBroker
from tests.torture.entrance import DOOR, HEALED_S, Entrance, entrance_at
from tests.torture.place import SITE, wait_for
from tests.torture.report import Outcome, Run, Torment
from tests.torture.server_kills import ERRORS, rounds_of
from tests.torture.server_place import UP, ServerPlace, no_mosquitto

_SHORT_S: Final = 4
"""For how long one is good that is to run out, and until when one is not yet; certificates know
whole seconds only."""


class TlsPlace(ServerPlace):
    """A place with the broker as it is shipped: nobody gets in without a certificate."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, [DOOR])
        folder = path.parent / f"{path.name}-broker"
        folder.mkdir()
        self.broker = ShippedBroker(folder)
        acl = folder / "acl"
        text = acl.read_text(encoding="utf-8")
        acl.write_text(text.replace("malakoff.main", f"{SITE}.{DOOR}").replace(
            "malakoff/main", f"{SITE}/{DOOR}"), "utf-8")  # fmt: skip
        self.broker.stop()
        self.port = self.broker.port
        self._show(path / "gardien.toml", "server")
        self.give(self.broker.authority.issue(f"{SITE}.{DOOR}"))
        self._show(self.door_settings(DOOR), f"{SITE}.{DOOR}")

    def _show(self, settings: Path, name: str) -> None:
        """Have a program come with a certificate, in place of a password."""
        text = settings.read_text(encoding="utf-8")
        head, found, rest = text.partition("[mqtt]\n")
        _, _, rest = rest.partition("\n[")
        files = self._files(name)
        if name == "server":
            self._copy(self.broker.authority.issue(name), files)
        mqtt = (
            f'host = "localhost"\nport = {self.port}\nca_file = "{self.broker.folder / "ca.crt"}"\n'
            f'certificate_file = "{files[0]}"\nkey_file = "{files[1]}"\n'
        )
        rest = rest.replace('program = "mosquitto"', 'program = "none"')
        settings.write_text(f"{head}{found}{mqtt}\n[{rest}", "utf-8")

    def _files(self, name: str) -> tuple[Path, Path]:
        return self.broker.folder / f"{name}.crt", self.broker.folder / f"{name}.key"

    @staticmethod
    def _copy(identity: Identity, files: tuple[Path, Path]) -> None:
        shutil.copyfile(identity.certificate_file, files[0])
        shutil.copyfile(identity.key_file, files[1])

    def give(self, identity: Identity) -> None:
        """Put a certificate where the door has its own."""
        self._copy(identity, self._files(f"{SITE}.{DOOR}"))

    def start(self) -> None:
        """Start broker and server; blocks until both are there."""
        self.broker.start()
        self.launch("server")
        wait_for(lambda: UP in self.log("server"), "the server is connected")

    def restart_broker(self) -> None:
        """Do what makes a list of revoked certificates count: `systemctl restart mosquitto`."""
        self.broker.stop()
        self.broker.start()

    def close(self) -> None:
        """Stop everything. Closing twice is harmless."""
        super().close()
        self.broker.close()


@dataclass(slots=True, kw_only=True)
class _Ailing:
    """The entrance, and what ails its certificate now."""

    place: TlsPlace
    entrance: Entrance

    where: str
    current: Identity

    def issue(self, **when: float) -> Identity:
        return self.place.broker.authority.issue(f"{SITE}.{DOOR}", **when)

    def come_with(self, identity: Identity) -> None:
        """Put a certificate in place and restart the door, as install.md says."""
        door = self.entrance.door
        door.stop()
        self.place.give(identity)
        self.current = identity
        door.start()
        door.wait_until_there()

    def expect_alone(self, word: str) -> None:
        """The door is off within a minute and says why; it decides, and nothing moves the lock."""
        entrance, check = self.entrance, self.entrance.outcome.check
        said = entrance.door.log.read_text().count(word)
        begun, changes = time.monotonic(), len(entrance.door.changes())
        self.place.restart_broker()
        wait_for(
            lambda: entrance.door.log.read_text().count(word) > said,
            f"the door says that {word}: {entrance.door.log.read_text()[-800:]}",
            HEALED_S,
        )
        name = "longest until the door was off and said so, s"
        facts = entrance.outcome.facts
        facts[name] = max(round(time.monotonic() - begun, 1), float(facts.get(name, 0)))
        is_still = len(entrance.door.changes()) == changes
        check(self.where, "losing the link moves the lock", is_so=is_still)
        before = entrance.decisions
        entrance.expect_admitted_in_time(self.where)
        check(self.where, "the server decided", is_so=entrance.decisions == before)


def _revoked(it: _Ailing) -> None:
    it.place.broker.revoke(it.current)
    it.expect_alone("may be revoked")
    it.come_with(it.issue())


def _run_out(it: _Ailing) -> None:
    ends_at = time.time() + _SHORT_S
    it.come_with(it.issue(days=_SHORT_S / DAY.total_seconds()))
    it.entrance.expect_online()
    time.sleep(max(0.0, ends_at + 1 - time.time()))
    it.expect_alone("it ran out on")
    it.come_with(it.issue())


def _not_yet(it: _Ailing) -> None:
    """It gets in by itself as soon as its certificate is good."""
    before = it.entrance.decisions
    it.come_with(it.issue(since=-_SHORT_S / DAY.total_seconds()))
    it.entrance.expect_admitted_in_time(it.where)
    is_alone = it.entrance.decisions == before
    it.entrance.outcome.check(it.where, "the server decided", is_so=is_alone)
    is_said = "it is good only from" in it.entrance.door.log.read_text()
    it.entrance.outcome.check(it.where, "the door does not say why", is_so=is_said)


_WAYS: Final[dict[str, Callable[[_Ailing], None]]] = {
    "revoked": _revoked,
    "not valid yet": _not_yet,
    "run out": _run_out,
}


def spoil_certificates(run: Run) -> Outcome:
    """Spoil the door's certificate, one way after the other."""
    outcome = Outcome()
    try:
        with TlsPlace(run.folder / "p") as place, entrance_at(place, outcome) as entrance:
            it = _Ailing(place=place, entrance=entrance, where="",
                         current=place.broker.authority.issue("nobody"))  # fmt: skip
            it.come_with(it.issue())
            entrance.expect_online()
            for number in rounds_of(run, outcome):
                what, spoil = tuple(_WAYS.items())[(number - 1) % len(_WAYS)]
                it.where = f"round {number}, {what}"
                spoil(it)
                entrance.expect_online()
                outcome.count(what)
    except ERRORS as error:
        outcome.failures.append(repr(error))
    return outcome


CERTIFICATES: Final = Torment(
    name="certificates",
    faults=("F23",),
    says="a door whose certificate is revoked, runs out or is not valid yet is off within a "
    "minute, says why, and decides by itself; with a good one the server decides again",
    full=30,
    few=1,
    run=spoil_certificates,
    missing=no_mosquitto,
)


def every() -> Iterator[Torment]:
    """Give the torment of this module."""
    yield CERTIFICATES
