"""Speaks with the world round a simulated door: how a command presents a badge to it."""

import socket
from pathlib import Path
from typing import Final

from edge.simulated.messages import (
    MAX_LINE_BYTES,
    Answer,
    Line,
    LineError,
    Tap,
    decode_answer,
    decode_line,
    encode,
)

DEFAULT_TIMEOUT_S: Final = 30.0


class NoSuchDoorError(ConnectionError):
    """No simulated door is running at this socket."""


class DoorSilentError(TimeoutError):
    """The door did not answer in time; many may be queueing before it."""


class DoorRefusedError(ValueError):
    """The door could not do what the line asks for; nothing was changed."""


def ask(socket_path: Path, line: Line, *, timeout_s: float = DEFAULT_TIMEOUT_S) -> Answer:
    """Say one line to the world of a simulated door; blocks until it is done.

    Args:
        socket_path: of the door's world.
        line: what is to be done.
        timeout_s: how long to wait in all, in seconds.

    Raises:
        NoSuchDoorError: nobody answers at the socket.
        DoorSilentError: no answer in time.
        DoorRefusedError: the line was refused; says why.
    """
    # Checked at this end too: a mistake is refused even where no door is running.
    raw = encode(line)
    try:
        decode_line(raw)
    except LineError as error:
        raise DoorRefusedError(str(error)) from error
    answer = _decoded(_exchange(socket_path, raw, timeout_s), socket_path)
    if not answer.ok:
        raise DoorRefusedError(answer.error or "refused")
    return answer


def tap(
    socket_path: Path,
    *,
    uid: bytes,
    reader: str = "in",
    hold_ms: int = 300,
    push: bool = True,
    wait_ms: int = 2_000,
    open_ms: int = 150,
    copy: str = "",
    uid_only: bool = False,
    pull_after: int | None = None,
    timeout_s: float = DEFAULT_TIMEOUT_S,
) -> Answer:
    """Present a badge to a simulated door; blocks until the person is through, or has given up.

    Args:
        socket_path: of the door's world.
        uid: 4, 7 or 10 bytes.
        reader: which reader of the door.
        hold_ms: how long the card is held there at most, 0 to 60,000.
        push: whether the person opens the door if it unlocks.
        wait_ms: how long the person waits for an answer, 0 to 60,000.
        open_ms: how long the door stays open, 0 to 60,000.
        copy: the name of a copy of the card, made when it is first named; "" is the card itself.
        uid_only: whether the copy is made of the UID alone.
        pull_after: the card is pulled away after so many bytes over the air; None: it is not.
        timeout_s: how long to wait in all, in seconds.

    Returns:
        What was seen: `lock`, `opened`, `signal`.

    Raises:
        NoSuchDoorError: nobody answers at the socket.
        DoorSilentError: no answer in time.
        DoorRefusedError: no such reader, or no card can have this UID.
    """
    line = Tap(
        reader=reader,
        uid=uid.hex(),
        hold_ms=hold_ms,
        push=push,
        wait_ms=wait_ms,
        open_ms=open_ms,
        copy=copy,
        uid_only=uid_only,
        pull_after=pull_after,
    )
    return ask(socket_path, line, timeout_s=timeout_s)


def _exchange(path: Path, raw: bytes, timeout_s: float) -> bytes:
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(timeout_s)
            connection.connect(str(path))
            connection.sendall(raw)
            with connection.makefile("rb") as answers:
                return answers.readline(MAX_LINE_BYTES)
    except TimeoutError as error:
        raise DoorSilentError(f"the door at {path} did not answer within {timeout_s} s") from error
    except OSError as error:
        raise NoSuchDoorError(
            f"no simulated door is running at {path} ({error}): start one, for instance with "
            "gardien demo"
        ) from error


def _decoded(raw: bytes, path: Path) -> Answer:
    if not raw.endswith(b"\n"):
        raise NoSuchDoorError(f"the door at {path} hung up before it answered")
    try:
        return decode_answer(raw)
    except LineError as error:
        raise NoSuchDoorError(f"what answers at {path} is no simulated door: {error}") from error
