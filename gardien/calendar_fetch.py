"""Fetching a calendar: from a file, or from an address by HTTP."""

import urllib.parse
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gardien.errors import CommandError
from server.calendar_fetch_urllib3 import Fetcher
from server.calendar_fetch_urllib3 import FetchError as UrlError

TIMEOUT_S: Final = 20.0
MOST_BYTES: Final = 5_000_000

_SCHEMES: Final = {"http": "http", "https": "https", "webcal": "https", "webcals": "https"}


class FetchError(CommandError):
    """The calendar can't be had; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """A calendar as it came.

    Attributes:
        kind: `file` or `url`.
        location: where it was found: an absolute path, or an address.
        etag: the version that the server named (RFC 9110, 8.8.3), if any.
        body: its text.
    """

    kind: str
    location: str
    etag: str | None = None
    body: str


def fetch(location: str) -> Fetched:
    """Get a calendar; blocks for the disk, or for the network up to 20 s at a time.

    Args:
        location: a path, or an address that starts with http, https or webcal.

    Raises:
        FetchError: it can't be had, is too large, or is not in UTF-8.
    """
    parts = urllib.parse.urlsplit(location)
    if parts.scheme.lower() in _SCHEMES and parts.netloc:
        return _from_web(parts._replace(scheme=_SCHEMES[parts.scheme.lower()]).geturl())
    return _from_file(Path(location))


def _from_file(path: Path) -> Fetched:
    try:
        with path.open("rb") as file:
            raw = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise FetchError(f"{path}: {error.strerror}; name a file or an http address") from error
    return Fetched(kind="file", location=str(path.absolute()), body=_text(raw, str(path)))


def _from_web(url: str) -> Fetched:
    try:
        with closing(Fetcher(TIMEOUT_S, MOST_BYTES)) as fetcher:
            found = fetcher.fetch(url)
    except UrlError as error:
        raise FetchError(str(error)) from error
    if found is None:
        raise FetchError(f"{url} gives nothing; check the address")
    return Fetched(kind="url", location=url, etag=found.stamp.etag, body=found.body)


def _text(raw: bytes, location: str) -> str:
    if len(raw) > MOST_BYTES:
        raise FetchError(f"{location} has more than {MOST_BYTES} bytes; is it the right calendar?")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise FetchError(f"{location} is not in UTF-8, which RFC 5545 asks for") from error
