"""What is recorded, said to those whom it is about: notice, sign for the door, register.

GDPR, articles 13 (what people are told) and 30 (the record of processing activities); both are
filled in from the settings, so that they say what this installation does.
"""

from dataclasses import dataclass

from flask import Blueprint, render_template, url_for

from dashboards.parts import parts, site
from server.privacy_settings import PrivacySettings
from server.settings import ServerSettings, SiteSettings

privacy_pages = Blueprint("privacy", __name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Practice:
    """What an installation does with what it records.

    Attributes:
        about: who answers for it.
        keep_days: after how many days it is forgotten who came and went.
        counts_presence: whether a nomad's hours of presence are counted by month.
        has_influxdb: whether the counts are kept in InfluxDB, rather than beside the ledger.
        sends_alerts: whether alerts leave the house by e-mail, SMS or chat.
        has_webhooks: whether other programs are told of what happens.
    """

    about: PrivacySettings
    keep_days: int
    counts_presence: bool
    has_influxdb: bool
    sends_alerts: bool
    has_webhooks: bool


def practice_of(settings: ServerSettings, place: SiteSettings) -> Practice:
    """Gather what the pages say of one site."""
    return Practice(
        about=settings.privacy,
        keep_days=place.keep_days,
        counts_presence=place.plans.nomad.hours_a_month is not None,
        has_influxdb=bool(settings.history.url),
        sends_alerts=bool(settings.alerts.channels),
        has_webhooks=bool(settings.webhooks),
    )


@privacy_pages.get("/privacy")
def notice() -> str:
    """Tell everybody what is recorded, why, for how long, and whom to ask."""
    return render_template("privacy.html", practice=_practice(), my_page=url_for("account.me"))


@privacy_pages.get("/privacy/sign")
def sign() -> str:
    """Give the sign for the door, to print."""
    address = url_for("privacy.notice", site=site().id, _external=True)
    return render_template("privacy_sign.html", practice=_practice(), address=address)


@privacy_pages.get("/privacy/register")
def register() -> str:
    """Give the entry of the register of processing activities, to print."""
    return render_template("privacy_register.html", practice=_practice())


def _practice() -> Practice:
    return practice_of(parts().settings, site())
