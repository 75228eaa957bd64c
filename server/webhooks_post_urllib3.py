"""Posts a signed request over HTTP(S) through urllib3: no redirect is followed, nothing is read.

The address is the operator's and may still be a trap (a name that points inside the house tomorrow,
an answer that never ends), so an answer counts by its status alone and by a deadline.
"""

import email.utils
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

import urllib3
from urllib3.util import Timeout

from server.calendar_fetch_urllib3 import host_of

_OK: Final = range(200, 300)
_REFUSED: Final = frozenset({400, 413, 415, 422})


class PostError(OSError):
    """Not now: the target is away, overloaded, or not set up. The message holds its host only.

    Attributes:
        wait_s: for how long it asks to be left alone, if it does.
    """

    def __init__(self, message: str, *, wait_s: float | None = None) -> None:
        super().__init__(message)
        self.wait_s = wait_s


class PostRefusedError(PostError):
    """The target does not take this body."""


class Poster:
    """Posts to one address; keeps its connection. Used from one thread.

    Args:
        url: where to.
        timeout_s: how long connecting, and answering, may each take.
    """

    def __init__(self, url: str, timeout_s: float) -> None:
        self._url, self._timeout_s = url, timeout_s
        self._pool = urllib3.PoolManager(maxsize=1)

    def close(self) -> None:
        """Let go of the connection. Closing twice is harmless."""
        self._pool.clear()

    def post(self, body: bytes, headers: Mapping[str, str]) -> None:
        """Post a body; blocks until it is answered, or for the time-out.

        Raises:
            PostError: it is not known to have arrived; try again later.
            PostRefusedError: the target would not take it later either.
        """
        try:
            answer = self._pool.request(
                "POST",
                self._url,
                body=body,
                headers=dict(headers),
                timeout=Timeout(total=self._timeout_s),
                retries=False,
                redirect=False,
                preload_content=False,
            )
        except (urllib3.exceptions.HTTPError, ValueError, OSError) as error:
            what = type(error).__name__
            raise PostError(f"{host_of(self._url)} can't be reached ({what})") from error
        try:
            self._judge(answer)
        finally:
            _let_go(answer)

    def _judge(self, answer: urllib3.BaseHTTPResponse) -> None:
        if answer.status in _OK:
            return
        text = f"{host_of(self._url)} answers {answer.status}"
        if answer.status in _REFUSED:
            raise PostRefusedError(text)
        raise PostError(text, wait_s=_wait_s(answer.headers.get("Retry-After")))


def _let_go(answer: urllib3.BaseHTTPResponse) -> None:
    """Keep the connection where the answer is short and here; else give it up."""
    try:
        if int(answer.headers.get("Content-Length") or -1) == 0:
            answer.drain_conn()
            answer.release_conn()
            return
    except (ValueError, urllib3.exceptions.HTTPError):
        pass
    answer.close()


def _wait_s(written: str | None) -> float | None:
    """Read `Retry-After` (RFC 9110, 10.2.3): seconds, or a date."""
    if not written:
        return None
    if written.strip().isdecimal():
        return float(written.strip()[:9])
    try:
        at = email.utils.parsedate_to_datetime(written)
    except ValueError:
        return None
    now = datetime.fromtimestamp(time.time(), UTC)
    return max(0.0, (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() - now.timestamp())
