"""One post after the other to a real server: what is sent, and when the connection is kept."""

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from server.webhooks_post_http import Poster, PostError, PostRefusedError
from tests.shipped_broker import Authority

OK = b"HTTP/1.1 200 OK\r\n"
EMPTY = OK + b"Content-Length: 0\r\n\r\n"
BODY = b"b" * 500


@dataclass
class Target:
    """A server that keeps what comes in one piece, and answers what it is told to."""

    listener: socket.socket
    context: ssl.SSLContext | None = None
    answer: bytes = EMPTY
    is_closing: bool = False
    trickle_s: float | None = None
    pieces: list[bytes] = field(default_factory=list)
    connections: int = 0
    links: list[socket.socket] = field(default_factory=list)

    @property
    def url(self) -> str:
        scheme = "http" if self.context is None else "https"
        return f"{scheme}://127.0.0.1:{self.listener.getsockname()[1]}/hook?token=x"

    def serve(self) -> None:
        with suppress(OSError):
            while True:
                link, _ = self.listener.accept()
                with suppress(OSError):
                    self._talk(link if self.context is None else self._wrapped(link))

    def _wrapped(self, link: socket.socket) -> socket.socket:
        assert self.context is not None
        with link:
            return self.context.wrap_socket(link, server_side=True)

    def _talk(self, link: socket.socket) -> None:
        self.connections += 1
        self.links.append(link)
        with link:
            while piece := link.recv(65536):
                self.pieces.append(piece)
                link.sendall(self.answer)
                while self.trickle_s is not None:
                    time.sleep(self.trickle_s)
                    link.sendall(b"x")
                if self.is_closing:
                    return


Start = Callable[..., Target]


@pytest.fixture
def start() -> Iterator[Start]:
    with ExitStack() as stack:

        def make(context: ssl.SSLContext | None = None) -> Target:
            listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
            target = Target(listener, context)
            thread = threading.Thread(target=target.serve)
            thread.start()

            def end() -> None:
                for link in (listener, *target.links):
                    with suppress(OSError):
                        link.shutdown(socket.SHUT_RDWR)
                thread.join(5)

            stack.callback(end)
            return target

        yield make


@pytest.fixture
def post() -> Iterator[Callable[[Target], None]]:
    """Post to a target, with one poster for each."""
    posters: dict[str, Poster] = {}

    def once(target: Target) -> None:
        poster = posters.setdefault(target.url, Poster(target.url, timeout_s=1))
        poster.post(BODY, {"webhook-id": "one", "content-type": "text/plain"})

    yield once
    for poster in posters.values():
        poster.close()
        poster.close()


@pytest.mark.parametrize(
    "answer",
    [
        EMPTY,
        b"HTTP/1.1 204 No Content\r\n\r\n",
        OK + b"Content-Length: 2\r\n\r\nok",
        OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    ],
    ids=["empty", "no content", "short", "chunked"],
)
def test_a_request_leaves_in_one_piece_and_its_connection_is_kept(
    start: Start, post: Callable[[Target], None], answer: bytes
) -> None:
    target = start()
    target.answer = answer
    for _ in range(5):
        post(target)
    assert target.connections == 1
    assert len(target.pieces) == 5
    for piece in target.pieces:
        assert piece.startswith(b"POST /hook?token=x HTTP/1.1\r\n")
        assert piece.endswith(b"\r\n\r\n" + BODY)


@pytest.mark.parametrize(
    "answer",
    [
        OK + b"\r\nuntil the end",
        OK + b"Connection: close\r\nContent-Length: 0\r\n\r\n",
        OK + b"Content-Length: 100000\r\n\r\n" + b"x" * 100_000,
    ],
    ids=["without length", "closing", "long"],
)
def test_a_connection_that_can_not_be_kept_is_made_anew(
    start: Start, post: Callable[[Target], None], answer: bytes
) -> None:
    target = start()
    target.answer, target.is_closing = answer, True
    for _ in range(3):
        post(target)
    assert target.connections == 3


def test_a_connection_that_the_target_has_closed_meanwhile_is_made_anew(
    start: Start, post: Callable[[Target], None]
) -> None:
    target = start()
    target.is_closing = True
    for _ in range(3):
        post(target)
        time.sleep(0.1)  # the target's goodbye is on its way
    assert target.connections == 3


def test_an_answer_that_trickles_in_holds_nobody_for_long(
    start: Start, post: Callable[[Target], None]
) -> None:
    target = start()
    target.answer, target.trickle_s = OK + b"Content-Length: 4000\r\n\r\n", 0.05
    begun = time.monotonic()
    post(target)
    assert time.monotonic() - begun < 3


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (b"HTTP/1.1 503 Away\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n", PostError),
        (b"HTTP/1.1 422 No\r\nContent-Length: 0\r\n\r\n", PostRefusedError),
        (b"HTTP/1.1 302 Found\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n", PostError),
        (b"no answer at all\r\n\r\n", PostError),
    ],
)
def test_what_is_not_taken_is_told_without_the_path(
    start: Start, post: Callable[[Target], None], answer: bytes, kind: type[PostError]
) -> None:
    target = start()
    target.answer = answer
    with pytest.raises(PostError) as caught:
        post(target)
    assert type(caught.value) is kind
    assert "token" not in str(caught.value)
    assert len(target.pieces) == 1
    assert caught.value.wait_s == (7 if b"503" in answer else None)


def test_tls_is_checked_and_its_connection_kept(
    start: Start,
    post: Callable[[Target], None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    authority = Authority(tmp_path, "hook")
    identity = authority.issue("hook")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(identity.certificate_file, identity.key_file)
    with pytest.raises(
        PostError, match=r"shows a certificate that is not accepted \(.*(self-sign|local issuer)"
    ):
        post(start(context))
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    target = start(context)
    for _ in range(3):
        post(target)
    assert target.connections == 1
    assert len(target.pieces) == 3
