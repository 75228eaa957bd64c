"""The numbers that USB readers type: the whole UID of the badge, or none."""

import pytest

pytest.importorskip("evdev", reason="evdev is not installed (gardien[pi])")

from evdev import ecodes
from hypothesis import given
from hypothesis import strategies as st

from edge.hardware.keystrokes import Keystrokes, UnreadableNumberError, Writing

HEX = Writing(base=16, is_reversed=False)
DECIMAL = Writing(base=10, is_reversed=False, uid_bytes=4)
KEYS = {**{f"{n}": getattr(ecodes, f"KEY_{n}") for n in range(10)}, "\n": ecodes.KEY_ENTER}
KEYS |= {sign: getattr(ecodes, f"KEY_{sign.upper()}") for sign in "abcdefgqx"}

uids = st.sampled_from([4, 7, 10]).flatmap(lambda n: st.binary(min_size=n, max_size=n))


def typed(text: str, writing: Writing, gap_s: float = 0.01, keys: Keystrokes | None = None) -> str:
    """Type a text; gives the UIDs that come of it in hex, or "?" for a number that is none."""
    keys = keys or Keystrokes(writing)
    found = []
    for number, sign in enumerate(text):
        try:
            uid = keys.press(KEYS[sign], 1_000_000 + number * gap_s)
        except UnreadableNumberError:
            found.append("?")
        else:
            found.extend([uid.hex()] if uid is not None else [])
    return " ".join(found)


@given(uids, st.booleans())
def test_a_number_in_hex_gives_the_whole_uid_in_either_order(
    uid: bytes,
    is_reversed: bool,  # noqa: FBT001 - drawn
) -> None:
    text = (uid[::-1] if is_reversed else uid).hex()
    writing = Writing(base=16, is_reversed=is_reversed)
    assert typed(f"{text}\n", writing) == uid.hex()


@given(uids, st.booleans())
def test_a_number_in_decimal_gives_the_whole_uid_with_its_leading_zeros(
    uid: bytes,
    is_reversed: bool,  # noqa: FBT001 - drawn
) -> None:
    number = int.from_bytes(uid[::-1] if is_reversed else uid)
    writing = Writing(base=10, is_reversed=is_reversed, uid_bytes=len(uid))
    assert typed(f"{number}\n", writing) == uid.hex()


@given(uids, st.data())
def test_keys_that_are_lost_or_added_never_give_the_uid_of_another_length(
    uid: bytes, data: st.DataObject
) -> None:
    text = uid.hex()
    cut = data.draw(st.integers(1, len(text) - 1))
    found = typed(f"{text[cut:]}\n", HEX)
    assert found == "?" or len(found) == len(text) - cut


def test_two_numbers_one_after_the_other_are_two_badges() -> None:
    assert typed("04a1b2c3\ndeadbeef\n", HEX) == "04a1b2c3 deadbeef"


def test_enter_alone_is_nothing() -> None:
    assert typed("\n\n", HEX) == ""


def test_a_number_with_a_pause_in_it_is_none_and_the_next_one_is_read() -> None:
    keys = Keystrokes(HEX)
    assert typed("04a1", HEX, keys=keys) == ""
    for sign in "b2c3":
        keys.press(KEYS[sign], 1_000_001)
    with pytest.raises(UnreadableNumberError, match="gaps"):
        keys.press(KEYS["\n"], 1_000_001)
    assert typed("04a1b2c3\n", HEX, keys=keys) == "04a1b2c3"


def test_a_number_of_which_keys_were_lost_is_none() -> None:
    keys = Keystrokes(DECIMAL)
    keys.press(KEYS["7"], 1.0)
    keys.spoil()
    assert typed("3\n77\n", DECIMAL, keys=keys) == "? 0000004d"


def test_a_key_that_is_no_digit_makes_the_number_none() -> None:
    assert typed("04x1b2c3\n", HEX) == "?"
    assert typed("123a\n", DECIMAL) == "?"


def test_the_a_of_a_french_keyboard_is_elsewhere_and_a_wrong_layout_is_seen() -> None:
    french = Writing(base=16, is_reversed=False, layout="fr")
    assert typed("04q1b2c3\n", french) == "04a1b2c3"
    assert typed("04q1b2c3\n", HEX) == "?"
    assert typed("04a1b2c3\n", french) == "?"


def test_shift_and_the_keypad_are_what_some_readers_press() -> None:
    keys = Keystrokes(HEX)
    for code in (ecodes.KEY_LEFTSHIFT, *[ecodes.KEY_KP0] * 7):
        keys.press(code, 1.0)
    keys.press(ecodes.KEY_KP9, 1.0)
    assert keys.press(ecodes.KEY_KPENTER, 1.0) == b"\x00\x00\x00\x09"


def test_a_number_that_does_not_fit_is_none_and_is_not_told() -> None:
    assert typed("4294967295\n4294967296\n", DECIMAL) == "ffffffff ?"
    with pytest.raises(UnreadableNumberError) as caught:
        DECIMAL.uid("4294967296")
    assert "4294967296" not in str(caught.value)
    assert typed("1" * 200 + "\n", DECIMAL) == "?"


def test_decimal_numbers_of_unknown_length_are_refused() -> None:
    with pytest.raises(ValueError, match="uid_bytes"):
        Writing(base=10, is_reversed=False)
