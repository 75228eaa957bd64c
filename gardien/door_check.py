"""What can be said of a door unit without moving its lock: its keys, its secrets, its outbox."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

from edge.settings import DoorUnitSettings
from gardien.certificates import check_certificate
from gardien.errors import is_expected, one_line
from gardien.secret_files import is_private
from runtime.keys import read_badge_key, read_card_key, verifier
from runtime.settings import read_secret


def problems_of(settings: DoorUnitSettings) -> list[str]:
    """Say what is wrong with a unit's files, in words; an empty list if nothing is."""
    return [*_unreadable(settings), *_open_to_others(settings), *_outbox(settings)]


def _unreadable(settings: DoorUnitSettings) -> Iterator[str]:
    mqtt = settings.mqtt
    tries: list[tuple[Callable[[Path], object], Path | None]] = [
        (verifier, settings.server_key_file),
        (read_badge_key, settings.badge_key_file),
        (read_card_key, _card_key_file(settings)),
        (read_secret, mqtt.password_file),
        (check_certificate, mqtt.ca_file),
        (check_certificate, mqtt.certificate_file),
        (Path.read_bytes, mqtt.key_file),
    ]
    for read, path in tries:
        try:
            if path is not None:
                read(path)
        except Exception as error:
            if not is_expected(error):
                raise
            yield one_line(error)


def _open_to_others(settings: DoorUnitSettings) -> Iterator[str]:
    mqtt = settings.mqtt
    secrets = (settings.badge_key_file, _card_key_file(settings), mqtt.password_file, mqtt.key_file)
    for path in secrets:
        if path is not None and path.exists() and not is_private(path):
            yield f"{path} can be read by others; chmod 600 {path}"


def _card_key_file(settings: DoorUnitSettings) -> Path | None:
    return settings.cards.master_key_file if settings.cards is not None else None


def _outbox(settings: DoorUnitSettings) -> Iterator[str]:
    folder = settings.outbox.parent
    if not os.access(folder, os.W_OK | os.X_OK):
        yield f"{folder}, where records wait, can't be written to; make it, and check its owner"
