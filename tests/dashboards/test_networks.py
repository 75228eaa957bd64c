"""The hall's screen: for the site's network, and for those who keep the place."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

MakeBrowser = Callable[..., Any]
NUMBERS = ("/kiosk", "/live/numbers", "/api/v1/occupancy")


def status(browser: Any, path: str, address: str | None, **headers: str) -> int:
    environment = {"REMOTE_ADDR": address}
    answer = browser.get(path, environ_overrides=environment, headers=headers)
    answer.close()
    return int(answer.status_code)


def with_dashboard(place: Any, **settings: Any) -> Any:
    """Give the settings of a place with others for its pages."""
    whole = place.installation.settings
    return msgspec.structs.replace(
        whole, dashboard=msgspec.structs.replace(whole.dashboard, **settings)
    )


@pytest.mark.parametrize("path", NUMBERS)
@pytest.mark.parametrize(
    ("address", "is_let_in"),
    [
        ("127.0.0.1", True),
        ("::1", True),
        ("192.168.1.20", True),
        ("10.200.0.1", True),
        ("172.31.255.255", True),
        ("172.32.0.1", False),
        ("fd12:3456::1", True),
        ("fe80::1%eth0", True),
        ("::ffff:192.168.1.20", True),
        ("::ffff:192.0.2.1", False),
        ("192.0.2.1", False),
        ("2001:db8::1", False),
        ("", False),
        ("unix:", False),
    ],
)
def test_the_numbers_are_for_private_networks(
    browser_of: MakeBrowser, path: str, address: str, *, is_let_in: bool
) -> None:
    assert (status(browser_of(None), path, address) == 200) is is_let_in


@pytest.mark.parametrize(("who", "is_let_in"), [("noor", False), ("bruno", True), ("salome", True)])
def test_who_keeps_the_place_may_read_them_from_anywhere(
    browser_of: MakeBrowser, who: str, *, is_let_in: bool
) -> None:
    for path in NUMBERS:
        wanted = 200 if is_let_in else 403
        assert status(browser_of(who), path, "192.0.2.1") == wanted, path


def test_a_stranger_is_sent_to_log_in_and_a_machine_is_told(browser_of: MakeBrowser) -> None:
    found = [status(browser_of(None), path, "192.0.2.1") for path in NUMBERS]
    assert found == [302, 401, 401]


@pytest.mark.parametrize("name", ["X-Forwarded-For", "Forwarded", "X-Real-IP"])
def test_a_proxy_that_the_settings_dont_know_of_vouches_for_nobody(
    browser_of: MakeBrowser, name: str
) -> None:
    assert status(browser_of(None), "/kiosk", "127.0.0.1", **{name: "127.0.0.1"}) == 302


def test_a_proxy_that_they_know_of_says_who_asks(place: Any, make_browser: MakeBrowser) -> None:
    with make_browser(place, settings=with_dashboard(place, behind_tls=True)) as browser:
        for address, wanted in (("192.168.1.20", 200), ("192.0.2.1", 302)):
            forged = f"127.0.0.1, {address}"
            headers = {"X-Forwarded-For": forged, "X-Forwarded-Proto": "https"}
            assert status(browser, "/kiosk", "127.0.0.1", **headers) == wanted


def test_the_networks_are_those_of_the_settings(place: Any, make_browser: MakeBrowser) -> None:
    settings = with_dashboard(place, kiosk_networks=("192.0.2.0/24",))
    with make_browser(place, settings=settings) as browser:
        assert status(browser, "/kiosk", "192.0.2.1") == 200
        assert status(browser, "/kiosk", "127.0.0.1") == 302
