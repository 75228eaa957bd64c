"""An installation of a small house, and the command line as a user types it."""

import logging
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from access.badge import digest, parse_uid
from access.ids import DoorId, SiteId
from access.instants import to_rfc3339
from access.messages import AccessRequest
from gardien.founding import DoorPlan, Founding, SitePlan, found
from gardien.main import cli
from runtime.clock import DemoClock
from server.events import Asked
from server.installation import open_installation

TUESDAY_1910 = datetime(2026, 11, 24, 18, 10, tzinfo=UTC)
"""19:10 in Paris, in winter."""

EVENTS = """BEGIN:VCALENDAR
VERSION:2.0
PRODID:-//tests//EN
BEGIN:VEVENT
UID:talk@example.org
SUMMARY:Tuesday talk
DTSTART;TZID=Europe/Paris:20261124T193000
DTEND;TZID=Europe/Paris:20261124T213000
X-GARDIEN-GUARDIAN:gaelle
X-GARDIEN-AUDIENCE:members
END:VEVENT
BEGIN:VEVENT
UID:workshop@example.org
SUMMARY:Workshop
DTSTART;TZID=Europe/Paris:20261126T193000
DTEND;TZID=Europe/Paris:20261126T213000
X-GARDIEN-GUARDIAN:gaelle
X-GARDIEN-AUDIENCE:registered
ATTENDEE:mailto:nora@example.org
END:VEVENT
END:VCALENDAR
"""

MEMBERS = """id,name,email,plan,status,guardian
nora,Nora Blanc,nora@example.org,nomad,active,no
rene,René Roy,,resident,active,no
sonia,Sonia Petit,sonia@example.org,staff,active,no
gaelle,Gaëlle Morel,gaelle@example.org,nomad,active,yes
ines,Inès Faure,,nomad,active,yes
sami,Sami Diallo,,nomad,suspended,no
emma,Emma Costa,,nomad,ended,no
"""

UIDS = {
    "nora": "04:00:00:01",
    "rene": "04:00:00:02",
    "sonia": "04:00:00:03",
    "gaelle": "04:00:00:04",
    "ines": "04:00:00:05",
    "sami": "04:00:00:06",
    "emma": "04:00:00:07",
}
STRANGER = "04:00:00:ff"


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What a command left behind."""

    status: int
    out: str
    err: str


class CommandLine:
    """Types commands for one installation."""

    def __init__(self, data: Path) -> None:
        self.data = data

    def __call__(self, *args: str, typed: str = "") -> Done:
        result = CliRunner().invoke(cli, ["--data", str(self.data), *args], input=typed)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Done(status=result.exit_code, out=result.stdout, err=result.stderr)

    def done(self, *args: str, typed: str = "") -> str:
        """Type a command that must succeed, and give what it prints."""
        done = self(*args, typed=typed)
        assert done.status == 0, done.err
        return done.out

    def settings(self, change: Callable[[str], str]) -> None:
        """Change the text of `gardien.toml`."""
        file = self.data / "gardien.toml"
        file.write_text(change(file.read_text(encoding="utf-8")), encoding="utf-8")


@pytest.fixture(autouse=True)
def _logs() -> Iterator[None]:
    """Put the logs back as they were: each command sends them to a stream of its own."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture(autouse=True)
def _language(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)


def open_watch(house: CommandLine) -> None:
    """Let the guardian badge in at the door, as its unit would ask."""
    with open_installation(house.data) as installation:
        site = SiteId("malakoff")
        asked = msgspec.convert(
            {
                "id": "00000000-0000-7000-8000-000000000001",
                "at": to_rfc3339(TUESDAY_1910),
                "reader": "in",
                "badge": digest(parse_uid(UIDS["gaelle"]), installation.read_badge_key(site)),
            },
            AccessRequest,
        )
        event = Asked(door=DoorId("main"), request=asked)
        installation.gatehouse.handle(site, [event], installation.clock.now())


def make_empty(data: Path) -> None:
    """Make an installation with nobody in it, at ten past seven on a Tuesday evening."""
    plan = Founding(
        site=SitePlan(
            id=SiteId("malakoff"),
            name="La Maison",
            capacity=60,
            doors=(
                DoorPlan(id=DoorId("main"), name="Main entrance", readers=("in", "out")),
                DoorPlan(id=DoorId("lab"), name="Fab lab", plans=("resident", "staff")),
            ),
            hours=dict.fromkeys(("mon", "tue", "wed", "thu", "fri"), ("09:00-18:30",)),
            plan_hours={"resident": {"tue": ("07:00-09:00",)}},
        ),
        clock="demo:clock",
        mqtt_port=1,
    )
    found(data, plan)
    DemoClock.create(data / "clock", TUESDAY_1910).close()


@pytest.fixture(scope="session")
def furnished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A house with members, badges and events, to be copied."""
    folder = tmp_path_factory.mktemp("furnished")
    house = CommandLine(folder / "data")
    make_empty(house.data)
    (folder / "members.csv").write_text(MEMBERS, encoding="utf-8")
    house.done("member", "import", str(folder / "members.csv"))
    for member, uid in UIDS.items():
        house.done("badge", "assign", member, "--uid", uid)
    (folder / "events.ics").write_text(EVENTS, encoding="utf-8")
    house.done("event", "import", str(folder / "events.ics"))
    return house.data


@pytest.fixture
def house(furnished: Path, tmp_path: Path) -> CommandLine:
    """The command line of a furnished house of one's own."""
    data = tmp_path / "data"
    shutil.copytree(furnished, data)
    return CommandLine(data)


@pytest.fixture
def empty(tmp_path: Path) -> CommandLine:
    """The command line of a house with nobody in it."""
    data = tmp_path / "data"
    make_empty(data)
    return CommandLine(data)


@pytest.fixture
def authority(tmp_path: Path) -> tuple[str, str]:
    """A certificate authority of a house: its certificate and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "The house")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=365))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    files = tmp_path / "ca.crt", tmp_path / "ca.key"
    files[0].write_bytes(certificate.public_bytes(Encoding.PEM))
    files[1].write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return str(files[0]), str(files[1])
