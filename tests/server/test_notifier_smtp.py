"""Mail over TLS, with a real server: from the first byte, by STARTTLS, and where it must not go."""

import socket
import ssl
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from server.alerts_settings import SmtpSettings
from server.notifier import Letter, NotifierError
from server.notifier_smtp import SmtpNotifier
from tests.conftest import free_port
from tests.shipped_broker import Authority, Identity

Security = Literal["starttls", "tls"]

LETTER = Letter(title="Door forced", text="Go and see.", to=("guard@example.org",))
PASSWORD = "four words do well"  # noqa: S105 (of this test's server)


@dataclass
class Inbox:
    """What a mail server was given, and whether over TLS."""

    mails: list[bytes] = field(default_factory=list)
    passwords: list[bytes] = field(default_factory=list)
    were_encrypted: list[bool] = field(default_factory=list)

    async def handle_DATA(  # noqa: N802 (aiosmtpd's)
        self,
        server: SMTP,  # noqa: ARG002 (aiosmtpd's)
        session: Session,
        envelope: Envelope,
    ) -> str:
        assert isinstance(envelope.content, bytes)
        self.mails.append(envelope.content)
        self.were_encrypted.append(session.ssl is not None)
        return "250 OK"

    def check(self, server: SMTP, session: Session, envelope: Envelope, *login: Any) -> AuthResult:  # noqa: ARG002 (aiosmtpd's)
        _, given = login
        assert isinstance(given, LoginPassword)
        self.passwords.append(given.password)
        is_right = given.password == PASSWORD.encode()
        return AuthResult(success=is_right, handled=is_right)


class Listening(Controller):
    """An SMTP server that starts whether or not it speaks TLS from the first byte."""

    def _trigger_server(self) -> None:
        with ExitStack() as stack:
            link = stack.enter_context(socket.create_connection((self.hostname, self.port), 5))
            if self.ssl_context is not None:
                context = ssl.create_default_context()
                context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
                link = stack.enter_context(context.wrap_socket(link))
            link.recv(1024)


@dataclass
class Servers:
    """Starts mail servers on this machine."""

    stack: ExitStack

    def start(
        self,
        security: Security | None,
        identity: Identity,
        *,
        host: str = "127.0.0.1",
        has_log_in: bool = False,
    ) -> tuple[Inbox, int]:
        inbox, port = Inbox(), free_port()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(identity.certificate_file, identity.key_file)
        options: dict[str, Any] = {}
        if security == "tls":
            options = {"ssl_context": context}
        elif security == "starttls":
            options = {"tls_context": context, "require_starttls": True}
        if has_log_in:
            options |= {
                "authenticator": inbox.check,
                # aiosmtpd counts TLS from the first byte as none.
                "auth_require_tls": security == "starttls",
            }
        server = Listening(inbox, hostname=host, port=port, **options)
        server.start()
        self.stack.callback(server.stop)
        return inbox, port


@pytest.fixture
def servers() -> Iterator[Servers]:
    with ExitStack() as stack:
        yield Servers(stack)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path, "mail")


def settings(port: int, security: Security, **others: Any) -> SmtpSettings:
    parts = {"host": "127.0.0.1", "sender": "gardien@example.org"} | others
    return SmtpSettings(port=port, security=security, **parts)


def refusal(of: SmtpSettings) -> str:
    with pytest.raises(NotifierError) as caught:
        SmtpNotifier(of, timeout_s=5).send([LETTER])
    return str(caught.value)


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_mail_goes_out_encrypted_with_the_log_in_inside(
    servers: Servers, authority: Authority, tmp_path: Path, security: Security
) -> None:
    inbox, port = servers.start(security, authority.issue("mail"), has_log_in=True)
    (tmp_path / "password").write_text(f"{PASSWORD}\n")
    login = {"username": "gardien", "password_file": tmp_path / "password"}
    of = settings(port, security, ca_file=authority.file, **login)
    SmtpNotifier(of).send([LETTER])
    assert b"Go and see." in inbox.mails[0]
    assert inbox.passwords == [PASSWORD.encode()]
    assert inbox.were_encrypted == [security == "starttls"]  # as aiosmtpd counts it
    (tmp_path / "password").write_text("another\n")
    assert "refuses the log-in; check username and password_file" in refusal(of)


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_a_certificate_that_is_not_accepted_gets_no_mail_and_no_password(
    servers: Servers, authority: Authority, tmp_path: Path, security: Security
) -> None:
    (tmp_path / "password").write_text(f"{PASSWORD}\n")
    login = {"username": "gardien", "password_file": tmp_path / "password"}
    stranger = Authority(tmp_path, "stranger")
    for identity, others, why in (
        (authority.issue("mail"), {}, "self-signed certificate in certificate chain|unable to get"),
        (
            authority.issue("mail"),
            {"ca_file": stranger.file},
            "unable to get|self-signed",
        ),
        (authority.issue("mail", days=-1), {"ca_file": authority.file}, "expired"),
        (
            authority.issue("mail"),
            {"ca_file": authority.file, "host": "127.0.0.2"},
            "IP address mismatch",
        ),
    ):
        host = str(others.get("host", "127.0.0.1"))
        inbox, port = servers.start(security, identity, host=host, has_log_in=True)
        said = refusal(settings(port, security, **login, **others))
        assert said.startswith(f"the mail server {host}:{port} shows a certificate")
        assert any(word in said for word in why.split("|")), said
        assert "ca_file, under [alerts.smtp]" in said
        assert (inbox.mails, inbox.passwords) == ([], [])


def test_a_server_that_offers_no_starttls_gets_no_password(
    servers: Servers, authority: Authority, tmp_path: Path
) -> None:
    (tmp_path / "password").write_text(f"{PASSWORD}\n")
    inbox, port = servers.start(None, authority.issue("mail"))
    login = {"username": "gardien", "password_file": tmp_path / "password"}
    said = refusal(settings(port, "starttls", ca_file=authority.file, **login))
    assert 'does not offer STARTTLS, so nothing was sent; write security = "tls"' in said
    assert (inbox.mails, inbox.passwords) == ([], [])


def test_tls_where_the_server_begins_in_the_clear_is_named(
    servers: Servers, authority: Authority
) -> None:
    inbox, port = servers.start("starttls", authority.issue("mail"))
    said = refusal(settings(port, "tls", ca_file=authority.file))
    assert 'does not speak TLS as security = "tls" has it' in said
    assert "587" in said
    assert inbox.mails == []


def test_an_authority_that_is_none_is_named(
    servers: Servers, authority: Authority, tmp_path: Path
) -> None:
    _, port = servers.start("tls", authority.issue("mail"))
    (tmp_path / "ca.crt").write_text("nothing")
    for file in ("ca.crt", "missing.crt"):
        said = refusal(settings(port, "tls", ca_file=tmp_path / file))
        assert f"{file}, the ca_file of [alerts.smtp], can't be used" in said


def test_a_server_that_is_away_is_named() -> None:
    port = free_port()
    assert refusal(settings(port, "starttls")) == (
        f"the mail server 127.0.0.1:{port} can't be used (Connection refused)"
    )
