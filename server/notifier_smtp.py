"""Messages by e-mail, over SMTP (RFC 5321) with the standard library's smtplib."""

import smtplib
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime

from runtime.settings import read_secret
from server.alerts_settings import SmtpSettings
from server.notifier import Letter, NotifierError, NotifierRefusedError

TIMEOUT_S = 15.0
_PERMANENT = 500


class SmtpNotifier:
    """Sends each message to its addresses; connects for as long as it takes.

    The addresses are on the envelope only, so that nobody reads those of others.

    Args:
        settings: of the mail server.
        timeout_s: how long each answer may take.
    """

    def __init__(self, settings: SmtpSettings, timeout_s: float = TIMEOUT_S) -> None:
        self._settings, self._timeout_s = settings, timeout_s

    def send(self, letters: list[Letter]) -> None:
        """Send messages (see `server.notifier.Notifier`)."""
        with _our_errors(self._settings), self._session() as session:
            for letter in letters:
                # Who is refused while others are not is left out: the others must not get it twice.
                session.send_message(self._mail(letter), to_addrs=list(letter.to))

    @contextmanager
    def _session(self) -> Iterator[smtplib.SMTP]:
        of = self._settings
        with self._connection() as session:
            if of.security == "starttls":
                self._start_tls(session)
            if of.username is not None and of.password_file is not None:
                session.login(of.username, read_secret(of.password_file))
            yield session

    def _connection(self) -> smtplib.SMTP:
        of = self._settings
        if of.security == "tls":
            return smtplib.SMTP_SSL(
                of.host, of.port_used, timeout=self._timeout_s, context=self._context()
            )
        return smtplib.SMTP(of.host, of.port_used, timeout=self._timeout_s)

    def _start_tls(self, session: smtplib.SMTP) -> None:
        """Encrypt the session; whoever takes the offer out on the way gets nothing to read."""
        context = self._context()
        try:
            session.starttls(context=context)
        except smtplib.SMTPNotSupportedError as error:
            raise NotifierError(
                f"{_where(self._settings)} does not offer STARTTLS, so nothing was sent; write "
                'security = "tls" under [alerts.smtp] if it speaks TLS from the first byte, or '
                "ask who runs it"
            ) from error

    def _context(self) -> ssl.SSLContext:
        ca_file = self._settings.ca_file
        try:
            return ssl.create_default_context(cafile=ca_file)
        except OSError as error:  # ssl.SSLError too
            raise NotifierError(
                f"{ca_file}, the ca_file of [alerts.smtp], can't be used "
                f"({error.strerror or 'no certificate'}); it has to hold certificates in PEM"
            ) from error

    def _mail(self, letter: Letter) -> EmailMessage:
        mail = EmailMessage()
        mail["Subject"] = " ".join(letter.title.split())
        mail["From"] = f"gardien <{self._settings.sender}>"
        mail["To"] = f"gardien <{self._settings.sender}>"
        mail["Date"] = format_datetime(datetime.now(UTC))
        if letter.reference:
            domain = self._settings.sender.rpartition("@")[2]
            mail["Message-ID"] = f"<{letter.reference}@{domain}>"
        # RFC 3834, 5: nobody's holiday notice answers us.
        mail["Auto-Submitted"] = "auto-generated"
        if letter.is_urgent:
            mail["Importance"] = "high"  # RFC 2156, 5.3.4
        mail.set_content(letter.text)
        return mail


def _where(settings: SmtpSettings) -> str:
    return f"the mail server {settings.host}:{settings.port_used}"


@contextmanager
def _our_errors(settings: SmtpSettings) -> Iterator[None]:
    try:
        yield
    except NotifierError:
        raise
    except ssl.SSLCertVerificationError as error:
        raise NotifierError(
            f"{_where(settings)} shows a certificate that is not accepted "
            f"({error.verify_message}), so nothing was sent; correct host, or give its authority "
            "as ca_file, under [alerts.smtp]"
        ) from error
    except ssl.SSLError as error:
        raise NotifierError(
            f'{_where(settings)} does not speak TLS as security = "{settings.security}" has it '
            f"({error.reason}), so nothing was sent; starttls is usual on port 587, and tls on 465"
        ) from error
    except smtplib.SMTPRecipientsRefused as error:
        codes = {code for code, _ in error.recipients.values()}
        kind = NotifierRefusedError if min(codes) >= _PERMANENT else NotifierError
        raise kind(f"the mail server refuses all {len(error.recipients)} addresses") from error
    except smtplib.SMTPAuthenticationError as error:
        raise NotifierError(
            "the mail server refuses the log-in; check username and password_file"
        ) from error
    except smtplib.SMTPSenderRefused as error:
        raise NotifierError(f"the mail server refuses the sender ({error.smtp_code})") from error
    except smtplib.SMTPDataError as error:
        kind = NotifierRefusedError if error.smtp_code >= _PERMANENT else NotifierError
        raise kind(f"the mail server refuses the message ({error.smtp_code})") from error
    except (smtplib.SMTPException, OSError, ValueError) as error:
        why = (isinstance(error, OSError) and error.strerror) or type(error).__name__
        raise NotifierError(f"{_where(settings)} can't be used ({why})") from error
