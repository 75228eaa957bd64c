"""Posts a signed request over HTTP(S), with the standard library's http.client.

No redirect is followed, and of what an answer says nothing counts but its status: the address is
the operator's and may still be a trap (a name that points inside the house tomorrow, an answer that
never ends).

It is the way of each event of a webhook that is told one by one, thousands of them after a day
away. So a request leaves in one piece (in two, the receiver is woken twice), and the connection
stays as long as the target keeps it. urllib3 takes twice as long for a request.
"""

import email.utils
import http.client
import select
import ssl
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from urllib3.util import parse_url

from server.calendar_fetch_urllib3 import host_of

_OK: Final = range(200, 300)
_REFUSED: Final = frozenset({400, 413, 415, 422})
_MOST_READ: Final = 4096
"""Of an answer so many bytes are read at the most, so that its connection can be kept."""


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
        self._parsed = parse_url(url)
        self._connection: _Connection | _TlsConnection | None = None

    def close(self) -> None:
        """Let go of the connection. Closing twice is harmless."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def post(self, body: bytes, headers: Mapping[str, str]) -> None:
        """Post a body; blocks until it is answered, or for the time-out.

        Raises:
            PostError: it is not known to have arrived; try again later.
            PostRefusedError: the target would not take it later either.
        """
        try:
            answer = self._ask(body, headers)
            self._let_go(answer)
        except ssl.SSLCertVerificationError as error:
            self.close()
            raise PostError(
                f"{host_of(self._url)} shows a certificate that is not accepted "
                f"({error.verify_message})"
            ) from error
        except (http.client.HTTPException, ValueError, OSError) as error:
            self.close()
            what = type(error).__name__
            raise PostError(f"{host_of(self._url)} can't be reached ({what})") from error
        self._judge(answer)

    def _ask(self, body: bytes, headers: Mapping[str, str]) -> http.client.HTTPResponse:
        if self._connection is not None and self._connection.is_over():
            self.close()
        of = self._parsed
        if self._connection is None:
            self._connection = _connection(of.scheme, of.host or "", of.port, self._timeout_s)
        self._connection.request("POST", of.request_uri, body=body, headers=dict(headers))
        return self._connection.getresponse()

    def _let_go(self, answer: http.client.HTTPResponse) -> None:
        """Keep the connection where the answer is short and soon here; else give it up."""
        deadline, left = time.monotonic() + self._timeout_s, _MOST_READ
        while not (answer.will_close or _is_read(answer)) and left > 0:
            if time.monotonic() > deadline:
                break
            left -= len(answer.read1(left))
        is_kept = not answer.will_close and _is_read(answer)
        answer.close()
        if not is_kept:
            self.close()

    def _judge(self, answer: http.client.HTTPResponse) -> None:
        if answer.status in _OK:
            return
        text = f"{host_of(self._url)} answers {answer.status}"
        if answer.status in _REFUSED:
            raise PostRefusedError(text)
        raise PostError(text, wait_s=_wait_s(answer.headers.get("Retry-After")))


def _is_read(answer: http.client.HTTPResponse) -> bool:
    return answer.isclosed() or answer.length == 0


class _Whole(http.client.HTTPConnection):
    """Sends a request in one piece, its body with its headers."""

    _held: bytearray | None = None

    def request(self, *args: Any, **options: Any) -> None:  # noqa: ANN401 (http.client's)
        """Send a request."""
        if self.sock is None:
            self.connect()
        held = self._held = bytearray()
        try:
            super().request(*args, **options)
        finally:
            self._held = None
        super().send(bytes(held))

    def send(self, data: Any) -> None:  # noqa: ANN401 (http.client's)
        """Hold what belongs to the request that is being made."""
        if self._held is None:
            super().send(data)
        else:
            self._held += data

    def is_over(self) -> bool:
        """Whether the other side has closed it, or says what nobody asked for."""
        if self.sock is None:
            return True
        waiting = select.poll()
        waiting.register(self.sock, select.POLLIN)
        return bool(waiting.poll(0))


class _Connection(_Whole):
    """In the clear."""


class _TlsConnection(_Whole, http.client.HTTPSConnection):
    """Over TLS."""


def _connection(
    scheme: str | None, host: str, port: int | None, timeout_s: float
) -> _Connection | _TlsConnection:
    if scheme == "https":
        context = ssl.create_default_context()
        return _TlsConnection(host, port, timeout=timeout_s, context=context)
    return _Connection(host, port, timeout=timeout_s)


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
