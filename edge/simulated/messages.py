"""The lines that are spoken with the world round a simulated door: one JSON object each."""

from typing import Annotated

import msgspec

MAX_LINE_BYTES = 4096

ReaderName = Annotated[str, msgspec.Meta(pattern="^[a-z0-9][a-z0-9-]{0,31}$")]
UidHex = Annotated[str, msgspec.Meta(pattern="^([0-9a-fA-F]{8}|[0-9a-fA-F]{14}|[0-9a-fA-F]{20})$")]
CopyName = Annotated[str, msgspec.Meta(pattern=r"^([a-z0-9][a-z0-9-]{0,31})?$")]
Bytes = Annotated[int, msgspec.Meta(ge=0, le=100_000)]
Milliseconds = Annotated[int, msgspec.Meta(ge=0, le=60_000)]


class _Line(msgspec.Struct, frozen=True, kw_only=True, tag_field="do", forbid_unknown_fields=True):
    """What a line may ask for; `do` says which."""


class Tap(_Line, frozen=True, kw_only=True, tag="tap"):
    """Hold a card to a reader and, perhaps, walk in.

    Attributes:
        reader: which reader of the door, as "in" or "out".
        uid: the UID of the card in hex: 8, 14 or 20 digits.
        hold_ms: how long the card is held there at most; taken away when the door answers.
        push: whether the person opens the door if it unlocks.
        wait_ms: how long the person waits for an answer.
        open_ms: how long the door stays open.
        copy: the name of a copy of the card, made when it is first named; "" is the card itself.
        uid_only: whether the copy is made of the UID alone, with the keys of a factory.
        pull_after: the card is pulled away after so many bytes over the air; None: it is not.
    """

    reader: ReaderName
    uid: UidHex
    hold_ms: Milliseconds = 300
    push: bool = True
    wait_ms: Milliseconds = 2_000
    open_ms: Milliseconds = 150
    copy: CopyName = ""
    uid_only: bool = False
    pull_after: Bytes | None = None


class Push(_Line, frozen=True, kw_only=True, tag="push"):
    """Try the door without a card: it opens only if it is unlocked.

    Attributes:
        open_ms: how long the door stays open.
    """

    open_ms: Milliseconds = 150


class ExitButton(_Line, frozen=True, kw_only=True, tag="exit_button"):
    """Press the exit button, which frees the lock by hardware, and walk out.

    Attributes:
        press_ms: how long the button is pressed.
        open_ms: how long the door stays open.
    """

    press_ms: Milliseconds = 200
    open_ms: Milliseconds = 150


class Contact(_Line, frozen=True, kw_only=True, tag="contact"):
    """Set the door itself open or closed, by force if need be.

    Attributes:
        open: whether the door is open from now on.
    """

    open: bool


class FirePanel(_Line, frozen=True, kw_only=True, tag="fire"):
    """Let the fire panel cut the lock's power, or give it back.

    Attributes:
        on: whether the power is cut from now on.
    """

    on: bool


class BreakReader(_Line, frozen=True, kw_only=True, tag="fault"):
    """Break a reader's chip, or mend it.

    Attributes:
        reader: which reader of the door.
        on: whether it is broken from now on.
    """

    reader: ReaderName
    on: bool


class Look(_Line, frozen=True, kw_only=True, tag="look"):
    """Say what can be seen and heard at the door now."""


Line = Tap | Push | ExitButton | Contact | FirePanel | BreakReader | Look


class Answer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The answer to one line; what does not apply is left out.

    Attributes:
        ok: whether the line was understood and done; if not, nothing has changed.
        error: why not, in words.
        lock: "locked" or "unlocked": after a tap, the most that was seen; else now.
        opened: whether the person opened the door.
        signal: the signal that the light and buzzer mean, as in `Signal`; None if dark.
        contact: "open", "closed" or "none".
        light: the colour that is lit, or "dark".
        buzzer_hz: the tone that sounds; left out if silent.
    """

    ok: bool
    error: str | None = None
    lock: str | None = None
    opened: bool | None = None
    signal: str | None = None
    contact: str | None = None
    light: str | None = None
    buzzer_hz: float | None = None


class LineError(ValueError):
    """A line that nobody can act on."""


_lines: msgspec.json.Decoder[Line] = msgspec.json.Decoder(Line)
_answers = msgspec.json.Decoder(Answer)
_encoder = msgspec.json.Encoder()


def decode_line(raw: bytes) -> Line:
    """Read one line.

    Raises:
        LineError: it is too long, not JSON, or not a line that is known.
    """
    if len(raw) > MAX_LINE_BYTES:
        raise LineError(f"a line has at most {MAX_LINE_BYTES} bytes")
    try:
        return _lines.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise LineError(str(error)) from error


def decode_answer(raw: bytes) -> Answer:
    """Read one answer.

    Raises:
        LineError: it is no answer.
    """
    try:
        return _answers.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise LineError(str(error)) from error


def encode(message: Line | Answer) -> bytes:
    """Write one line or answer, with its line feed."""
    return _encoder.encode(message) + b"\n"
