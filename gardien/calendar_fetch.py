"""Fetching a calendar: from a file, or from an address by HTTP."""

import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Final

from gardien.errors import CommandError

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
    # Only http and https get here, so that no address reads a file of this machine.
    request = urllib.request.Request(url, headers={"Accept": "text/calendar"})  # noqa: S310 (see above)
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:  # noqa: S310 (see above)
            raw = answer.read(MOST_BYTES + 1)
            etag = answer.headers.get("ETag")
    except urllib.error.HTTPError as error:
        with error:
            raise FetchError(
                f"{url} answers {error.code} {error.reason}; check the address"
            ) from error
    except (urllib.error.URLError, HTTPException, OSError, ValueError) as error:
        reason = getattr(error, "reason", None) or error
        raise FetchError(f"{url} can't be reached ({reason}); try again") from error
    return Fetched(kind="url", location=url, etag=etag, body=_text(raw, url))


def _text(raw: bytes, location: str) -> str:
    if len(raw) > MOST_BYTES:
        raise FetchError(f"{location} has more than {MOST_BYTES} bytes; is it the right calendar?")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise FetchError(f"{location} is not in UTF-8, which RFC 5545 asks for") from error
