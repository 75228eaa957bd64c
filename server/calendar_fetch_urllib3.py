"""Calendars from an address: by HTTP or HTTPS (RFC 9110), whole or not at all, through urllib3."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

import urllib3
from urllib3.util import Retry, Timeout

TIMEOUT_S: Final = 10.0
"""How long one fetch may take, in seconds, to the last byte."""

MOST_BYTES: Final = 5_000_000
"""The largest calendar that is read."""

_REDIRECTS: Final = 3
_CHUNK: Final = 65_536
_HEADERS: Final = {"Accept": "text/calendar", "User-Agent": "gardien"}
_SCHEMES: Final = ("http", "https")


class FetchError(OSError):
    """The calendar can't be had now; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stamp:
    """What the server said of the version it gave: to be asked for changes only.

    Attributes:
        etag: RFC 9110, 8.8.3.
        modified: Last-Modified, RFC 9110, 8.8.2, as it was written.
    """

    etag: str | None = None
    modified: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """A calendar as it came."""

    body: str
    stamp: Stamp


class Fetcher:
    """Fetches calendars; safe to use from several threads. Close it when done.

    Only addresses with http and https are asked, also after a redirect, of which three are
    followed. Addresses inside the house are allowed: calendars live there too. Cookies and
    log-ins are not sent; who has a private address has it in the path.

    Args:
        timeout_s: how long one fetch may take.
        most_bytes: the largest answer that is read.
    """

    def __init__(self, timeout_s: float = TIMEOUT_S, most_bytes: int = MOST_BYTES) -> None:
        self._timeout_s, self._most = timeout_s, most_bytes
        self._pool = urllib3.PoolManager(
            headers={"Accept": "text/calendar", "User-Agent": "gardien"}
        )

    def close(self) -> None:
        """Let go of all connections. Closing twice is harmless."""
        self._pool.clear()

    def fetch(self, url: str, stamp: Stamp | None = None) -> Fetched | None:
        """Get a calendar; blocks up to the time-out.

        Args:
            url: its address, http or https.
            stamp: of the copy that there is; None to get it whatever it is.

        Returns:
            The calendar; None if it is the copy that there is.

        Raises:
            FetchError: it can't be had, takes too long, is too large, or is not in UTF-8.
        """
        if url.partition("://")[0].lower() not in _SCHEMES:
            raise FetchError(f"{host_of(url)}: write an address that starts with https")
        until = time.monotonic() + self._timeout_s
        with self._answer(url, _conditions(stamp)) as answer:
            if answer.status == HTTPStatus.NOT_MODIFIED and stamp is not None:
                return None
            if answer.status != HTTPStatus.OK:
                raise FetchError(
                    f"{host_of(url)} answers {answer.status} {answer.reason or ''}; "
                    "check the address"
                )
            raw = self._read(answer, url, until)
            given = Stamp(
                etag=answer.headers.get("ETag"), modified=answer.headers.get("Last-Modified")
            )
        return Fetched(body=_text(raw, url), stamp=given)

    @contextmanager
    def _answer(self, url: str, conditions: dict[str, str]) -> Iterator[urllib3.BaseHTTPResponse]:
        retries = Retry(total=None, connect=0, read=0, redirect=_REDIRECTS, other=0)
        try:
            answer = self._pool.request(
                "GET",
                url,
                headers=_HEADERS | conditions,
                timeout=Timeout(total=self._timeout_s),
                retries=retries,
                preload_content=False,
            )
            try:
                yield answer
            finally:
                answer.close()
        except (urllib3.exceptions.HTTPError, ValueError, OSError) as error:
            if isinstance(error, FetchError):
                raise
            reason = getattr(error, "reason", None) or error
            raise FetchError(f"{host_of(url)} can't be reached ({reason}); try again") from error

    def _read(self, answer: urllib3.BaseHTTPResponse, url: str, until: float) -> bytes:
        """Read the whole answer, or none of it: one that comes drop by drop must end as well."""
        raw = bytearray()
        while chunk := answer.read1(_CHUNK):
            raw += chunk
            if len(raw) > self._most:
                raise FetchError(f"{host_of(url)} gives more than {self._most} bytes")
            if time.monotonic() > until:
                raise FetchError(f"{host_of(url)} takes longer than {self._timeout_s:g} s")
        return bytes(raw)


def host_of(url: str) -> str:
    """Name the host of an address: what may be logged, for a path may be as good as a password."""
    try:
        return urllib3.util.parse_url(url).host or "the address"
    except urllib3.exceptions.LocationParseError:
        return "the address"


def _conditions(stamp: Stamp | None) -> dict[str, str]:
    if stamp is None:
        return {}
    named = {"If-None-Match": stamp.etag, "If-Modified-Since": stamp.modified}
    return {name: value for name, value in named.items() if value is not None}


def _text(raw: bytes, url: str) -> str:
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise FetchError(f"{host_of(url)}: not in UTF-8, which RFC 5545 asks for") from error
