"""The events of a site for calendar programs, and the secret address by which they read them."""

from flask import Blueprint, Response, flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from dashboards.pages_account import own_page
from dashboards.parts import a_viewer, parts, site_id
from dashboards.texts import gettext, language
from server import calendar_addresses

calendar_pages = Blueprint("calendar", __name__)


@calendar_pages.get("/calendar/<slug>.ics")
def events(slug: str) -> AnyResponse:
    """Give the events of a site and who watches them; the guard has chosen the site."""
    del slug
    written = parts().calendars.written(site_id(), language())
    answer = Response(written.text, content_type="text/calendar; charset=utf-8")
    answer.headers["Content-Disposition"] = f'inline; filename="{site_id()}.ics"'
    # Named for a browser's cache, which asks each time whether it is still so.
    answer.headers["Cache-Control"] = "private, no-cache"
    answer.set_etag(written.etag)
    return answer.make_conditional(request)


@calendar_pages.post("/me/calendar")
def make() -> str:
    """Make the viewer's address, and show it this once."""
    looking = a_viewer()
    with parts().database.writing() as connection:
        token = calendar_addresses.make(connection, looking.member, parts().clock.now())
    sites = parts().sites
    addresses = [
        (sites[one].name, url_for("calendar.events", slug=one, key=token, _external=True))
        for one in looking.sites
    ]
    return render_template("me.html", addresses=addresses, **own_page())


@calendar_pages.post("/me/calendar/forget")
def forget() -> AnyResponse:
    """End the viewer's address."""
    with parts().database.writing() as connection:
        calendar_addresses.forget(connection, a_viewer().member)
    flash(gettext("The address no longer works."), "done")
    return redirect(url_for("account.me"))
