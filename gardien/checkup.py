"""What is wrong with an installation, in plain words: what `gardien doctor` says."""

import shutil
import socket
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from pathlib import Path
from typing import Final

from sqlalchemy import func, select

from access.ids import DoorId, SiteId
from access.model import BadgeLevel, BadgeStatus, Plan, Status
from gardien.errors import is_expected, one_line
from gardien.secret_files import is_private
from runtime.keys import read_badge_key, signer, verifier
from runtime.settings import MqttSettings, read_secret
from server import follower, ledger, registry, schema
from server.database import Database, open_database
from server.folder import Folder
from server.history import HistoryError
from server.installation import Installation, open_installation
from server.settings import ServerSettings, SiteSettings
from server.state import DoorTrack
from server.upgrade import is_current

SILENT: Final = timedelta(minutes=5)
"""A door that nobody has heard for so long is silent: it speaks every 30 s."""

OLD_POLICY: Final = timedelta(hours=24)
_RELIED_ON: Final = timedelta(hours=72)
_LITTLE_ROOM: Final = 1_000_000_000
_NO_ROOM: Final = 100_000_000
_SQLITE: Final = "sqlite:///"
_TIMEOUT_S: Final = 3.0
_MUCH_BEHIND: Final = 10_000


class Grade(Enum):
    """How a finding is."""

    GOOD = "good"
    MIND = "mind"
    BAD = "bad"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was looked at, and what to do if it is not well."""

    grade: Grade
    text: str


Findings = Iterator[Finding]


def check_up(path: Path) -> Findings:
    """Look at an installation; blocks for the disk, the database and the network, seconds at most.

    Args:
        path: the folder that `--data` names.
    """
    folder = Folder(path=path)
    try:
        settings = folder.load_settings()
    except Exception as error:
        if not is_expected(error):
            raise
        yield _bad(one_line(error))
        return
    yield _good(f"settings: {folder.settings_file} can be used")
    yield from _keys(folder, settings)
    yield from _permissions(folder)
    yield from _room(folder)
    yield from _broker(settings.mqtt)
    yield from _opened(folder, settings)


def _opened(folder: Folder, settings: ServerSettings) -> Findings:
    """Look at what needs the database."""
    try:
        outdated = _outdated(settings)
        if outdated is not None:
            yield outdated
            return
        with open_installation(folder.path) as installation:
            yield _good(f"database: {installation.database.name} is there, with the newest schema")
            for look in (_accounts, _badges, _aside, _history):
                yield from look(installation)
            for site in settings.sites:
                yield from _site(installation, site)
    except Exception as error:
        if not is_expected(error):
            raise
        yield _bad(f"database: {one_line(error)}")


def _outdated(settings: ServerSettings) -> Finding | None:
    """Say so if the database has no tables or old ones: to look at it must not change it."""
    url = settings.database
    if url.startswith(_SQLITE) and not Path(url.removeprefix(_SQLITE)).exists():
        return _mind("database: there is none yet; the server makes it when it starts")
    secret = settings.database_password_file
    with open_database(url, password=read_secret(secret) if secret else None) as database:
        if is_current(database):
            return None
    return _mind(
        "database: its tables are of another version; the server brings them up to date when it "
        "starts, so make a backup first"
    )


def _good(text: str) -> Finding:
    return Finding(grade=Grade.GOOD, text=text)


def _mind(text: str) -> Finding:
    return Finding(grade=Grade.MIND, text=text)


def _bad(text: str) -> Finding:
    return Finding(grade=Grade.BAD, text=text)


def _keys(folder: Folder, settings: ServerSettings) -> Findings:
    reads: list[tuple[Callable[[Path], object], Path]] = [
        (signer, folder.signing_key),
        (verifier, folder.public_key),
        *((read_badge_key, folder.badge_key(SiteId(site.id))) for site in settings.sites),
    ]
    problems = []
    for read, path in reads:
        try:
            read(path)
        except ValueError as error:
            problems.append(_bad(f"keys: {one_line(error)}; bring it back from a backup"))
    yield from problems or [_good("keys: all there")]


def _permissions(folder: Folder) -> Findings:
    secret = [folder.settings_file, folder.signing_key]
    for part in ("keys", "secrets"):
        secret += [path for path in sorted((folder.path / part).glob("*")) if path.is_file()]
    secret += sorted(folder.path.glob("*.db"))
    public = {folder.public_key}
    seen = dict.fromkeys(path for path in secret if path.exists() and path not in public)
    if is_private(folder.path):
        yield _good("permissions: the folder is for its owner alone")
        return
    readable = [path for path in seen if not is_private(path)]
    for path in readable:
        yield _bad(f"permissions: others can read {path}; chmod 600 {path}")
    if not readable:
        yield _mind(f"permissions: others may look into {folder.path}; chmod 700 {folder.path}")


def _room(folder: Folder) -> Findings:
    free = shutil.disk_usage(folder.path).free
    text = f"disk: {free / 1e9:.1f} GB free"
    if free < _NO_ROOM:
        yield _bad(f"{text}; free some space now: without it nothing can be recorded")
    elif free < _LITTLE_ROOM:
        yield _mind(f"{text}; free some space")
    else:
        yield _good(text)


def _broker(mqtt: MqttSettings) -> Findings:
    where = f"{mqtt.host}:{mqtt.port}"
    try:
        with socket.create_connection((mqtt.host, mqtt.port), _TIMEOUT_S) as connection:
            if mqtt.ca_file is not None:
                _shake_hands(connection, mqtt)
    except OSError as error:
        yield _bad(
            f"broker: {where} can't be reached ({error.strerror or error}); start it, for instance "
            "with `gardien broker`, or correct [mqtt]"
        )
    else:
        yield _good(f"broker: {where} can be reached")


def _shake_hands(connection: socket.socket, mqtt: MqttSettings) -> None:
    context = ssl.create_default_context(cafile=mqtt.ca_file)
    if mqtt.certificate_file is not None:
        context.load_cert_chain(mqtt.certificate_file, mqtt.key_file)
    context.wrap_socket(connection, server_hostname=mqtt.host).close()


def _accounts(installation: Installation) -> Findings:
    of = schema.member.c
    staff = (
        select(func.count())
        .select_from(schema.account.join(schema.member))
        .where(of.plan == Plan.STAFF.value, of.status == Status.ACTIVE.value)
    )
    with installation.database.reading() as connection:
        count = int(connection.execute(staff).scalar_one())
    if count:
        yield _good(f"accounts: {count} of staff can log in")
    else:
        yield _bad(
            "accounts: nobody of the staff can log in to the dashboard; make a log-in with "
            "`gardien member password`"
        )


def _badges(installation: Installation) -> Findings:
    with installation.database.reading() as connection:
        badges = registry.list_badges(connection)
    active = [one for one in badges if one.status is BadgeStatus.ACTIVE]
    weak = [one for one in active if one.level is BadgeLevel.L0]
    careless = [s.id for s in installation.settings.sites if s.level_after_hours == "L0"]
    if not active:
        yield _mind("badges: none yet; give one with `gardien badge assign`")
    elif weak and careless:
        yield _mind(
            f"badges: {len(weak)} of {len(active)} are of level L0, copied in seconds, and "
            f"{', '.join(careless)} takes them after hours; see level_after_hours in gardien.toml"
        )
    else:
        yield _good(f"badges: {len(active)} in use")


def _aside(installation: Installation) -> Findings:
    for site in installation.settings.sites:
        with installation.database.reading() as connection:
            aside = ledger.list_set_aside(connection, SiteId(site.id))
        if aside:
            yield _bad(
                f"{site.id}: {len(aside)} records of doors did not fit their chain, the last one "
                f"from {aside[0].door}: {aside[0].why}; run `gardien verify`, and look at that door"
            )


def _history(installation: Installation) -> Findings:
    where = installation.settings.history.url or "the embedded store"
    try:
        with installation.open_history() as (history, cursors):
            is_ready = history.is_ready() if installation.settings.history.url else True
            behind = _behind(installation, cursors)
    except HistoryError as error:
        yield _bad(f"history: {one_line(error)}")
        return
    if not is_ready:
        yield _bad(f"history: {where} can't be reached; nothing is lost, it is caught up later")
    elif behind > _MUCH_BEHIND:
        yield _mind(f"history: {behind} entries behind the ledger; is the server running?")
    else:
        yield _good(f"history: {where}, {behind} entries behind the ledger")


def _behind(installation: Installation, cursors: Database) -> int:
    with cursors.reading() as connection:
        done = ledger.cursor(connection, follower.NAME)
    with installation.database.reading() as connection:
        return ledger.last_id(connection) - done


def _site(installation: Installation, site: SiteSettings) -> Findings:
    policy = installation.policies.current(SiteId(site.id))
    state = installation.gatehouse.look(SiteId(site.id))
    now = installation.clock.now()
    if not any(member.is_guardian for member in policy.members.values()):
        yield _mind(f"{site.id}: no guardians; after hours nobody can open but staff")
    for door in site.doors:
        track = state.doors.get(DoorId(door.id), DoorTrack())
        yield _door(f"{site.id}/{door.id}", track, now)


def _door(name: str, track: DoorTrack, now: datetime) -> Finding:
    if track.heard_at is None or track.state is None:
        return _mind(f"{name}: never heard of; start its unit")
    since = f"{(now - track.heard_at).total_seconds() / 60:.0f} min"
    if not track.is_online:
        return _bad(f"{name}: offline, last heard of {since} ago; check its power and its network")
    if now - track.heard_at > SILENT:
        return _bad(f"{name}: silent for {since}; check that the server and the unit run")
    broken = [reader for reader, how in (track.state.readers or {}).items() if how != "ok"]
    if broken:
        return _bad(f"{name}: reader {' and '.join(broken)} does not work; check its wires")
    return _policy_of(name, track, now)


def _policy_of(name: str, track: DoorTrack, now: datetime) -> Finding:
    """Say how old the policy is that a door holds: its version is when it was made, in seconds."""
    version = track.state.policy if track.state is not None else None
    if not version:
        return _bad(f"{name}: has no policy; is the server running?")
    age = now - datetime.fromtimestamp(version, now.tzinfo)
    text = f"{name}: online, its policy is {age / timedelta(hours=1):.1f} h old"
    if age > _RELIED_ON:
        return _bad(f"{text}, too old to be relied on; is the server running?")
    return _mind(f"{text}; is the server running?") if age > OLD_POLICY else _good(text)
