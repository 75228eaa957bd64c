"""What is to be said of channels and webhooks: whether they get through, and what was given up."""

from datetime import datetime, timedelta
from typing import Final

from access.ids import SiteId
from gardien.errors import is_expected, one_line
from gardien.findings import Finding, Findings, bad, good, mind
from runtime.settings import read_secret
from server import alerts_list, notifier_queue, webhooks
from server.history import HistoryError
from server.installation import Installation
from server.notifier_followers import Standing, names_of, standing

_MUCH_BEHIND: Final = 10_000
_LONG: Final = timedelta(hours=1)


def check_senders(installation: Installation) -> Findings:
    """Look at what sends things on. Blocks for the databases; asks no target."""
    yield from _open_alerts(installation)
    yield from _secrets(installation)
    names = names_of(installation.settings)
    if not names:
        return
    now = installation.clock.now()
    try:
        with installation.open_history() as (_, cursors):
            notifier_queue.prepare(cursors)
            found = [
                standing(source=installation.database, cursors=cursors, name=name, now=now)
                for name in names
            ]
    except HistoryError:
        return  # said where the history is looked at
    for one in found:
        yield _of(one, now)


def _of(one: Standing, now: datetime) -> Finding:
    if one.target is None:
        return mind(
            en=f"{one.name}: has not run yet; start the server",
            fr=f"{one.name} : n'a pas encore tourné ; démarrez le serveur",
        )
    since = one.target.failing_since
    if since is not None:
        error = one.target.error
        return (bad if now - since > _LONG else mind)(
            en=f"{one.name}: has failed since {since:%Y-%m-%d %H:%M} UTC: {error}; nothing is "
            "lost, it goes on",
            fr=f"{one.name} : échoue depuis le {since:%Y-%m-%d %H:%M} UTC : {error} ; rien n'est "
            "perdu, il continue",
        )
    if one.dead:
        what = one.name.partition(".")[2]
        en, fr = (
            (f"`gardien webhook dead {what}` {link} `gardien webhook retry {what}`")
            if one.name.startswith("webhook.")
            else "`gardien alert list`"
            for link in ("and", "et")
        )
        return bad(
            en=f"{one.name}: {one.dead} were given up: see {en}",
            fr=f"{one.name} : {one.dead} abandonnés : voyez {fr}",
        )
    if one.lag > _MUCH_BEHIND:
        return mind(
            en=f"{one.name}: {one.lag} entries behind the ledger; is the server running?",
            fr=f"{one.name} : {one.lag} écritures de retard ; le serveur tourne-t-il ?",
        )
    return good(
        en=f"{one.name}: {one.lag} entries behind the ledger, {one.waiting} wait",
        fr=f"{one.name} : {one.lag} écritures de retard, {one.waiting} en attente",
    )


def _secrets(installation: Installation) -> Findings:
    for channel in installation.settings.alerts.channels:
        if channel.address_file is not None:
            try:
                read_secret(channel.address_file)
            except ValueError as error:
                yield bad(
                    en=f"alerts.{channel.id}: {one_line(error)}",
                    fr=f"alerts.{channel.id} : {one_line(error)}",
                )
    for hook in installation.settings.webhooks:
        try:
            webhooks.read_key(read_secret(hook.secret_file))
        except ValueError as error:
            if not is_expected(error):
                raise
            yield bad(
                en=f"webhook.{hook.id}: {one_line(error)}",
                fr=f"webhook.{hook.id} : {one_line(error)}",
            )


def _open_alerts(installation: Installation) -> Findings:
    for site in installation.settings.sites:
        with installation.database.reading() as connection:
            found = alerts_list.open_ones(alerts_list.listed(connection, SiteId(site.id)))
        if found:
            yield mind(
                en=f"{site.id}: {len(found)} alerts that nobody has taken in charge; "
                "see `gardien alert list`",
                fr=f"{site.id} : {len(found)} alertes que personne n'a prises en charge ; "
                "voyez `gardien alert list`",
            )
