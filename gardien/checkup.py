"""What is wrong with an installation, in plain words: what `gardien doctor` says."""

import shutil
import socket
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Final

from sqlalchemy import func, select

from access.ids import SiteId
from access.model import BadgeLevel, BadgeStatus, Plan, Status
from gardien.checkup_doors import check_site
from gardien.checkup_senders import check_senders
from gardien.errors import is_expected, one_line
from gardien.findings import Finding, Findings, bad, good, mind
from gardien.opening import open_installation
from gardien.secret_files import is_private
from runtime.keys import read_badge_key, signer, verifier
from runtime.settings import MqttSettings
from server import follower, ledger, registry, schema
from server.database import Database
from server.folder import SETTINGS_FILE, Folder
from server.history import HistoryError
from server.installation import Installation, open_ledger
from server.moving import refuse_unfinished
from server.settings import ServerSettings
from server.upgrade import is_current

_LITTLE_ROOM: Final = 1_000_000_000
_NO_ROOM: Final = 100_000_000
_SQLITE: Final = "sqlite:///"
_TIMEOUT_S: Final = 3.0
_MUCH_BEHIND: Final = 10_000


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
        yield bad(one_line(error))
        return
    yield good(f"settings: {folder.settings_file} can be used")
    yield from _privacy(settings)
    yield from _keys(folder, settings)
    yield from _permissions(folder)
    yield from _room(folder)
    yield from _broker(settings.mqtt)
    yield from _opened(folder, settings)


def _privacy(settings: ServerSettings) -> Findings:
    missing = settings.privacy.missing
    if missing:
        yield mind(
            f"privacy: {' and '.join(missing)} under [privacy] of {SETTINGS_FILE} are not said, so "
            "the notice at /privacy does not tell who answers for what is recorded"
        )
    else:
        yield good("privacy: the notice at /privacy tells who answers for what is recorded")


def _opened(folder: Folder, settings: ServerSettings) -> Findings:
    """Look at what needs the database."""
    try:
        outdated = _outdated(settings)
        if outdated is not None:
            yield outdated
            return
        with open_installation(folder.path) as installation:
            yield good(f"database: {installation.database.name} is there, with the newest schema")
            for look in (_accounts, _badges, _aside, _history, check_senders):
                yield from look(installation)
            for site in settings.sites:
                yield from check_site(installation, site)
    except Exception as error:
        if not is_expected(error):
            raise
        yield bad(f"database: {one_line(error)}")


def _outdated(settings: ServerSettings) -> Finding | None:
    """Say so if the database has no tables or old ones: to look at it must not change it."""
    url = settings.database
    if url.startswith(_SQLITE) and not Path(url.removeprefix(_SQLITE)).exists():
        return mind("database: there is none yet; the server makes it when it starts")
    with open_ledger(settings) as database:
        refuse_unfinished(database)
        if is_current(database):
            return None
    return mind(
        "database: its tables are of another version; the server brings them up to date when it "
        "starts, so make a backup first"
    )


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
            problems.append(bad(f"keys: {one_line(error)}; bring it back from a backup"))
    yield from problems or [good("keys: all there")]


def _permissions(folder: Folder) -> Findings:
    secret = [folder.settings_file, folder.signing_key]
    for part in ("keys", "secrets"):
        secret += [path for path in sorted((folder.path / part).glob("*")) if path.is_file()]
    secret += sorted(folder.path.glob("*.db"))
    public = {folder.public_key}
    seen = dict.fromkeys(path for path in secret if path.exists() and path not in public)
    if is_private(folder.path):
        yield good("permissions: the folder is for its owner alone")
        return
    readable = [path for path in seen if not is_private(path)]
    for path in readable:
        yield bad(f"permissions: others can read {path}; chmod 600 {path}")
    if not readable:
        yield mind(f"permissions: others may look into {folder.path}; chmod 700 {folder.path}")


def _room(folder: Folder) -> Findings:
    free = shutil.disk_usage(folder.path).free
    text = f"disk: {free / 1e9:.1f} GB free"
    if free < _NO_ROOM:
        yield bad(f"{text}; free some space now: without it nothing can be recorded")
    elif free < _LITTLE_ROOM:
        yield mind(f"{text}; free some space")
    else:
        yield good(text)


def _broker(mqtt: MqttSettings) -> Findings:
    where = f"{mqtt.host}:{mqtt.port}"
    try:
        with socket.create_connection((mqtt.host, mqtt.port), _TIMEOUT_S) as connection:
            if mqtt.ca_file is not None:
                _shake_hands(connection, mqtt)
    except OSError as error:
        yield bad(
            f"broker: {where} can't be reached ({error.strerror or error}); start it, for instance "
            "with `gardien broker`, or correct [mqtt]"
        )
    else:
        yield good(f"broker: {where} can be reached")


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
        yield good(f"accounts: {count} of staff can log in")
    else:
        yield bad(
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
        yield mind("badges: none yet; give one with `gardien badge assign`")
    elif weak and careless:
        yield mind(
            f"badges: {len(weak)} of {len(active)} are of level L0, copied in seconds, and "
            f"{', '.join(careless)} takes them after hours; see level_after_hours in gardien.toml"
        )
    else:
        yield good(f"badges: {len(active)} in use")


def _aside(installation: Installation) -> Findings:
    for site in installation.settings.sites:
        with installation.database.reading() as connection:
            aside = ledger.list_set_aside(connection, SiteId(site.id))
        if aside:
            yield bad(
                f"{site.id}: {len(aside)} records of doors did not fit their chain, the last one "
                f"from {aside[0].door}: {aside[0].why}; run `gardien verify`, and look at that door"
            )


def _history(installation: Installation) -> Findings:
    where = installation.settings.history.url or "the embedded store"
    try:
        with installation.open_history() as (history, cursors):
            is_ready = history.is_ready() if installation.settings.history.url else True
            flaws = history.flaws() if is_ready else []
            behind = _behind(installation, cursors)
    except HistoryError as error:
        yield bad(f"history: {one_line(error)}")
        return
    for flaw in flaws:
        yield bad(f"history: {where}: {flaw}")
    if not is_ready:
        yield bad(
            f"history: {where} can't be reached; curves come from the embedded store meanwhile, "
            "and nothing is lost: it is caught up later"
        )
    elif behind > _MUCH_BEHIND:
        yield mind(f"history: {behind} entries behind the ledger; is the server running?")
    else:
        yield good(f"history: {where}, {behind} entries behind the ledger")


def _behind(installation: Installation, cursors: Database) -> int:
    with cursors.reading() as connection:
        done = ledger.cursor(connection, follower.NAME)
    with installation.database.reading() as connection:
        return ledger.last_id(connection) - done
