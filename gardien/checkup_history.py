"""What is to be said of the history: whether it is there, what it keeps, how far it is behind."""

from collections.abc import Sequence
from typing import Final

from gardien.errors import one_line
from gardien.findings import Finding, Findings, bad, good, mind
from server import follower, ledger
from server.database import Database
from server.history import Flaw, HistoryError, HistoryUnavailable
from server.installation import Installation

_MUCH_BEHIND: Final = 10_000


def check_history(installation: Installation) -> Findings:
    """Look at the history. Blocks for it and for the database."""
    url = installation.settings.history.url
    try:
        with installation.open_history() as (history, cursors):
            behind = _behind(installation, cursors)
            flaws = history.flaws()
            is_ready = not url or history.is_ready()
    except HistoryUnavailable as error:
        yield _away(one_line(error), one_line(error))
        return
    except HistoryError as error:
        yield bad(en=f"history: {one_line(error)}", fr=f"historique : {one_line(error)}")
        return
    yield from flawed(url, flaws)
    if not flaws and not is_ready:
        yield _away(
            f"{url} answers, and its database or buckets can't be read",
            f"{url} répond, mais sa base ou ses compartiments ne se lisent pas",
        )
    elif behind > _MUCH_BEHIND:
        yield mind(
            en=f"history: {behind} entries behind the ledger; is the server running?",
            fr=f"historique : {behind} écritures de retard ; le serveur tourne-t-il ?",
        )
    elif not flaws:
        yield good(
            en=f"history: {url or 'the embedded store'}, {behind} entries behind the ledger",
            fr=f"historique : {url or 'le fichier de gardien'}, {behind} écritures de retard",
        )


def flawed(url: str, flaws: Sequence[Flaw]) -> Findings:
    """Say which points a store does not keep for as long as it should, and what mends it.

    Args:
        url: of the store.
        flaws: what `History.flaws` has found.
    """
    for one in flaws:
        name = one.retention.value
        if one.kept:
            en = f"keeps `{name}` for {one.kept}"
            fr = f"garde `{name}` {'à jamais' if one.kept == 'ever' else f'pendant {one.kept}'}"
        else:
            en, fr = f"has no retention policy `{name}`", f"n'a pas de rétention `{name}`"
        yield bad(
            en=f"history: {url} {en}; say to it in `influx`: {one.mend}",
            fr=f"historique : {url} {fr} ; dites-lui dans `influx` : {one.mend}",
        )


def _away(en: str, fr: str) -> Finding:
    return bad(
        en=f"history: {en}; curves come from the embedded store meanwhile, and nothing is lost: it "
        "is caught up later",
        fr=f"historique : {fr} ; les courbes viennent de la copie de gardien en attendant, et rien "
        "n'est perdu : il sera rattrapé",
    )


def _behind(installation: Installation, cursors: Database) -> int:
    with cursors.reading() as connection:
        done = ledger.cursor(connection, follower.NAME)
    with installation.database.reading() as connection:
        return ledger.last_id(connection) - done
