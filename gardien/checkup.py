"""What is wrong with an installation, in plain words: what `gardien doctor` says.

What an error of another part says is in English, as everywhere.
"""

from pathlib import Path
from typing import Final

from gardien.checkup_backups import check_backups
from gardien.checkup_broker import check_broker
from gardien.checkup_broker_file import check_broker_file
from gardien.checkup_certificates import check_certificates
from gardien.checkup_doors import check_site
from gardien.checkup_folder import check_keys, check_permissions, check_room
from gardien.checkup_history import check_history
from gardien.checkup_ledger import check_database, check_forgetting, check_set_aside
from gardien.checkup_people import check_accounts, check_badges
from gardien.checkup_senders import check_senders
from gardien.errors import is_expected, one_line
from gardien.findings import Finding, Findings, bad, good, mind
from gardien.opening import open_installation
from runtime.clock import SystemClock
from server.folder import SETTINGS_FILE, Folder
from server.installation import open_ledger
from server.moving import refuse_unfinished
from server.settings import ServerSettings
from server.upgrade import is_current

SQLITE: Final = "sqlite:///"


def check_up(path: Path) -> Findings:
    """Look at an installation; blocks for the disk, the database and the network.

    That takes seconds; on SQLite it reads the whole database.

    Args:
        path: the folder that `--data` names.
    """
    folder = Folder(path=path)
    # Files and certificates are as old as the machine says, whatever clock a demonstration has.
    now = SystemClock().now()
    try:
        settings = folder.load_settings()
    except Exception as error:
        if not is_expected(error):
            raise
        yield bad(en=one_line(error), fr=one_line(error))
        return
    yield good(
        en=f"settings: {folder.settings_file} can be used",
        fr=f"réglages : {folder.settings_file} est utilisable",
    )
    yield from _privacy(settings)
    yield from check_keys(folder, settings)
    yield from check_permissions(folder)
    yield from check_certificates(folder, settings.mqtt, now)
    yield from check_room(folder, settings)
    yield from check_backups(folder, settings.backup, now)
    yield from check_broker(settings.mqtt, now)
    yield from check_broker_file(folder, settings)
    yield from _opened(folder, settings)


def _privacy(settings: ServerSettings) -> Findings:
    missing = settings.privacy.missing
    if missing:
        yield mind(
            en=f"privacy: {' and '.join(missing)} under [privacy] of {SETTINGS_FILE} are not said, "
            "so the notice at /privacy does not tell who answers for what is recorded",
            fr=f"vie privée : {' et '.join(missing)} manquent sous [privacy] de {SETTINGS_FILE} : "
            "la notice /privacy ne dit pas qui répond de ce qui est enregistré",
        )
    else:
        yield good(
            en="privacy: the notice at /privacy tells who answers for what is recorded",
            fr="vie privée : la notice /privacy dit qui répond de ce qui est enregistré",
        )


def _opened(folder: Folder, settings: ServerSettings) -> Findings:
    """Look at what needs the database."""
    try:
        outdated = _outdated(settings)
        if outdated is not None:
            yield outdated
            return
        with open_installation(folder.path) as installation:
            name = installation.database.name
            yield good(
                en=f"database: {name} is there, with the newest schema",
                fr=f"base de données : {name} est là, au schéma le plus récent",
            )
            for look in (
                check_database,
                check_forgetting,
                check_accounts,
                check_badges,
                check_set_aside,
                check_history,
                check_senders,
            ):
                yield from look(installation)
            for site in settings.sites:
                yield from check_site(installation, site)
    except Exception as error:
        if not is_expected(error):
            raise
        yield bad(en=f"database: {one_line(error)}", fr=f"base de données : {one_line(error)}")


def _outdated(settings: ServerSettings) -> Finding | None:
    """Say so if the database has no tables or old ones: to look at it must not change it."""
    url = settings.database
    if url.startswith(SQLITE) and not Path(url.removeprefix(SQLITE)).exists():
        return mind(
            en="database: there is none yet; the server makes it when it starts",
            fr="base de données : pas encore ; le serveur la crée à son démarrage",
        )
    with open_ledger(settings) as database:
        refuse_unfinished(database)
        if is_current(database):
            return None
    return mind(
        en="database: its tables are of another version; the server brings them up to date when it "
        "starts, so make a backup first",
        fr="base de données : ses tables sont d'une autre version ; le serveur les met à jour à "
        "son démarrage : faites d'abord une sauvegarde",
    )
