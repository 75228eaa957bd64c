"""What is to be said of the ledger: whether it is whole, and whether it forgets what it should."""

from datetime import datetime, timedelta
from typing import Final

from access.ids import SiteId
from gardien.findings import Findings, bad, good
from server import ledger
from server.database import Database
from server.forgetting import last_run
from server.installation import Installation
from server.verify_tail import verify_tails

LATE: Final = timedelta(days=2)
"""Forgetting is done each night; when it was not for so long, something is wrong."""

_A_DAY: Final = timedelta(days=1)
_TOLD: Final = 3


def check_database(installation: Installation) -> Findings:
    """Look whether the database is whole, and the last records of each chain. Reads all of SQLite.

    `gardien verify` looks at the chains from their beginning.
    """
    is_whole = True
    with installation.open_history() as (_, cursors):
        for one in dict.fromkeys([installation.database, cursors]):
            for problem in one.problems(_TOLD):
                is_whole = False
                yield bad(
                    en=f"database: {one.name} is damaged ({problem}); stop the server, keep a copy "
                    "of it, and restore a backup",
                    fr=f"base de données : {one.name} est abîmée ({problem}) ; arrêtez le serveur, "
                    "gardez-en une copie, et restaurez une sauvegarde",
                )
    with installation.database.reading() as connection:
        reports = [
            report
            for site in installation.settings.sites
            for report in verify_tails(connection, SiteId(site.id))
        ]
    for report in reports:
        if report.problem is not None:
            is_whole = False
            yield bad(
                en=f"database: the last records of {report.site}/{report.source} do not fit: "
                f"{report.problem}; run `gardien verify`",
                fr=f"base de données : les derniers enregistrements de {report.site}/"
                f"{report.source} ne concordent pas : {report.problem} ; lancez `gardien verify`",
            )
    if is_whole:
        yield good(
            en=f"database: whole, and so are the last records of {len(reports)} chains",
            fr=f"base de données : intacte, comme les derniers enregistrements de {len(reports)} "
            "chaînes",
        )


def check_forgetting(installation: Installation) -> Findings:
    """Look when what has been kept for long enough was last forgotten. Blocks for the database."""
    now = installation.clock.now()
    run = last_run(installation.database)
    since = run or _first_received(installation.database)
    if run is None and (since is None or now - since <= LATE):
        yield good(
            en="forgetting: not yet; the server does it each night",
            fr="oubli : pas encore ; le serveur s'en charge chaque nuit",
        )
    elif since is not None and now - since > LATE:
        days = (now - since) / _A_DAY
        yield bad(
            en=f"forgetting: not done for {days:.1f} days, so people stand in the ledger for "
            "longer than they were told; start the server and see its log, or run `gardien forget`",
            fr=f"oubli : pas fait depuis {days:.1f} jours : des personnes restent au registre plus "
            "longtemps qu'on ne le leur a dit ; démarrez le serveur et voyez son journal, ou "
            "lancez `gardien forget`",
        )
    else:
        yield good(
            en=f"forgetting: last done {run:%Y-%m-%d %H:%M} UTC",
            fr=f"oubli : fait en dernier le {run:%Y-%m-%d %H:%M} UTC",
        )


def check_set_aside(installation: Installation) -> Findings:
    """Look for records of doors that did not fit their chain. Blocks for the database."""
    for site in installation.settings.sites:
        with installation.database.reading() as connection:
            aside = ledger.list_set_aside(connection, SiteId(site.id))
        if aside:
            last = aside[0]
            yield bad(
                en=f"{site.id}: {len(aside)} records of doors did not fit their chain, the last "
                f"one from {last.door}: {last.why}; run `gardien verify`, and look at that door",
                fr=f"{site.id} : {len(aside)} enregistrements de portes ne s'inséraient pas dans "
                f"leur chaîne, le dernier de {last.door} : {last.why} ; lancez `gardien verify`, "
                "et allez voir cette porte",
            )


def _first_received(database: Database) -> datetime | None:
    with database.reading() as connection:
        first = ledger.read(connection, limit=1)
    return first[0].received if first else None
