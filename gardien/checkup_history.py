"""What is to be said of the history: whether it can be reached, and how far it is behind."""

from typing import Final

from gardien.errors import one_line
from gardien.findings import Findings, bad, good, mind
from server import follower, ledger
from server.database import Database
from server.history import HistoryError
from server.installation import Installation

_MUCH_BEHIND: Final = 10_000


def check_history(installation: Installation) -> Findings:
    """Look at the history. Blocks for it and for the database."""
    url = installation.settings.history.url
    en, fr = url or "the embedded store", url or "l'historique embarqué"
    try:
        with installation.open_history() as (history, cursors):
            is_ready = history.is_ready() if url else True
            flaws = history.flaws() if is_ready else []
            behind = _behind(installation, cursors)
    except HistoryError as error:
        yield bad(en=f"history: {one_line(error)}", fr=f"historique : {one_line(error)}")
        return
    for flaw in flaws:
        yield bad(en=f"history: {en}: {flaw}", fr=f"historique : {fr} : {flaw}")
    if not is_ready:
        yield bad(
            en=f"history: {en} can't be reached; curves come from the embedded store meanwhile, "
            "and nothing is lost: it is caught up later",
            fr=f"historique : {fr} est injoignable ; les courbes viennent de l'historique embarqué "
            "en attendant, et rien n'est perdu : il sera rattrapé",
        )
    elif behind > _MUCH_BEHIND:
        yield mind(
            en=f"history: {behind} entries behind the ledger; is the server running?",
            fr=f"historique : {behind} écritures de retard ; le serveur tourne-t-il ?",
        )
    else:
        yield good(
            en=f"history: {en}, {behind} entries behind the ledger",
            fr=f"historique : {fr}, {behind} écritures de retard",
        )


def _behind(installation: Installation, cursors: Database) -> int:
    with cursors.reading() as connection:
        done = ledger.cursor(connection, follower.NAME)
    with installation.database.reading() as connection:
        return ledger.last_id(connection) - done
