"""Logs: set up once, at the entry point; badges and keys never in full."""

import logging
import sys
import time
from typing import Final

import msgspec

_SHOWN: Final = 6
_PLAIN: Final = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"
_CHATTY: Final = ("alembic", "amqtt", "transitions", "werkzeug")
"""Libraries whose INFO is of no use to people here."""

_TELLTALE: Final = ("urllib3", "requests", "apprise")
"""Libraries that write whole addresses, with the tokens that are in those of webhooks, calendars
and services: what matters of it we say ourselves, without them."""

_OWN: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def redacted(secret: str) -> str:
    """Show just enough of a badge's digest to tell two apart in a log."""
    return f"{secret[:_SHOWN]}…"


class PlainLines(logging.Formatter):
    """One line a record for people: what is in it can't look like another one, or colour it."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 (logging's)
        """Write one record, without the error that may follow it."""
        record.message = "".join(map(_visible, record.message))
        return super().formatMessage(record)


class JsonLines(logging.Formatter):
    """One JSON object a line: the text for people, and what `extra` gave for machines."""

    def format(self, record: logging.LogRecord) -> str:
        """Write one record."""
        fields = {key: value for key, value in vars(record).items() if key not in _OWN}
        line: dict[str, object] = {
            "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(record.created)),
            "level": record.levelname.lower(),
            "logger": record.name,
            "text": record.getMessage(),
        }
        # What a record is never gives way to what was added to it.
        line |= {key: value for key, value in fields.items() if key not in line}
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return msgspec.json.encode(line, enc_hook=str).decode()


def _visible(letter: str) -> str:
    return letter if letter.isprintable() else letter.encode("unicode_escape").decode()


def set_up(*, level: str = "INFO", as_json: bool = False) -> None:
    """Send logs to standard error.

    Args:
        level: the least that is shown: DEBUG, INFO, WARNING or ERROR.
        as_json: whether each line is a JSON object.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines() if as_json else PlainLines(_PLAIN))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for chatty in _CHATTY:
        logging.getLogger(chatty).setLevel(max(logging.WARNING, logging.getLevelName(level)))
    for telltale in _TELLTALE:
        logging.getLogger(telltale).setLevel(logging.CRITICAL)
