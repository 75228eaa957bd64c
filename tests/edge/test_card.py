"""The virtual card obeys ISO/IEC 14443-3 and the MIFARE Classic data sheet."""

import pytest

from edge.hardware import frames
from edge.simulated import card as cards
from edge.simulated.card import CardState, Reply, VirtualCard
from edge.simulated.crc import crc_a

UID4 = bytes.fromhex("deadbeef")
UID7 = bytes.fromhex("04112233445566")
UID10 = bytes.fromhex("00010203040506070809")
FF = b"\xff" * 6


def say(card: VirtualCard, frame: bytes, *, bits: int = 0) -> Reply | None:
    return card.hear(frame, bits=bits, enciphered=card.sector is not None)


def say_crc(card: VirtualCard, frame: bytes) -> Reply | None:
    return say(card, frame + crc_a(frame))


def wake(card: VirtualCard, command: int = cards.WUPA) -> Reply | None:
    return say(card, bytes([command]), bits=7)


def choose(card: VirtualCard) -> bytes:
    """Select through all levels; returns the parts as they came, without cascade tags."""
    uid = b""
    for level in cards.SELECT_LEVELS:
        part = say(card, bytes([level, 0x20]))
        assert part is not None
        sak = say_crc(card, bytes([level, 0x70]) + part.data)
        assert sak is not None
        if not sak.data[0] & 0x04:
            return uid + part.data[:4]
        uid += part.data[1:4]
    raise AssertionError("more than three levels")


def opened(card: VirtualCard, block: int = 4) -> VirtualCard:
    wake(card)
    choose(card)
    assert card.authenticate(cards.AUTH_A, block, FF, card.uid[-4:])
    return card


# ISO/IEC 14443-3 Annex B.1, then frames of real cards: HLTA, READ 4, SAK 08 and 04.
CRC_VECTORS = [
    ("0000", "a01e"),
    ("1234", "26cf"),
    ("5000", "57cd"),
    ("3004", "26ee"),
    ("08", "b6dd"),
    ("04", "da17"),
]


@pytest.mark.parametrize(("data", "check"), CRC_VECTORS)
def test_both_crcs_fit_the_vectors_of_the_standard(data: str, check: str) -> None:
    assert crc_a(bytes.fromhex(data)).hex() == check
    assert frames.crc_a(bytes.fromhex(data)).hex() == check


@pytest.mark.parametrize("uid", [UID4, UID7, UID10])
def test_a_card_gives_its_whole_uid_through_its_cascade_levels(uid: bytes) -> None:
    card = VirtualCard(uid)
    assert wake(card) is not None
    assert choose(card) == uid
    assert card.state is CardState.ACTIVE


@pytest.mark.parametrize(
    ("uid", "why"),
    [(b"", "10 bytes"), (b"abc", "10 bytes"), (b"12345", "10 bytes"), (b"\x88abc", "cascade tag")],
)
def test_a_uid_that_no_card_can_have_is_refused(uid: bytes, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        VirtualCard(uid)


def test_a_halted_card_hears_wupa_and_not_reqa() -> None:
    card = VirtualCard(UID4)
    wake(card)
    choose(card)
    assert say_crc(card, cards.HLTA) is None
    assert card.state is CardState.HALT
    assert wake(card, cards.REQA) is None
    assert wake(card, cards.WUPA) is not None


def test_a_card_woken_from_halt_falls_back_to_halt() -> None:
    card = VirtualCard(UID4)
    wake(card)
    choose(card)
    say_crc(card, cards.HLTA)
    wake(card)
    assert say(card, b"\x93\x70nonsense") is None
    assert card.state is CardState.HALT


def test_an_active_card_ignores_a_wake_up_and_falls_back_to_idle() -> None:
    card = VirtualCard(UID4)
    wake(card)
    choose(card)
    assert wake(card) is None
    assert wake(card) is not None


def test_a_select_with_a_wrong_crc_is_not_answered() -> None:
    card = VirtualCard(UID4)
    wake(card)
    part = say(card, b"\x93\x20")
    assert part is not None
    assert say(card, b"\x93\x70" + part.data + b"\0\0") is None
    assert card.state is CardState.IDLE


def test_a_block_is_read_and_written_only_with_the_sector_open() -> None:
    card = opened(VirtualCard(UID4), block=4)
    assert say_crc(card, bytes([cards.WRITE, 5])) == Reply(data=b"\x0a", last_bits=4)
    assert say_crc(card, b"sixteen bytes ok") == Reply(data=b"\x0a", last_bits=4)
    read = say_crc(card, bytes([cards.READ, 5]))
    assert read is not None
    assert read.data[:16] == b"sixteen bytes ok"
    assert say_crc(card, bytes([cards.READ, 8])) == Reply(data=b"\x04", last_bits=4)
    assert card.state is CardState.IDLE


def test_key_a_never_reads_back_and_block_0_is_never_written() -> None:
    card = opened(VirtualCard(UID4), block=3)
    trailer = say_crc(card, bytes([cards.READ, 3]))
    assert trailer is not None
    assert trailer.data[:6] == bytes(6)
    assert say_crc(card, bytes([cards.WRITE, 0])) == Reply(data=b"\x04", last_bits=4)


def test_the_second_half_of_a_write_with_a_wrong_crc_changes_nothing() -> None:
    card = opened(VirtualCard(UID4))
    say_crc(card, bytes([cards.WRITE, 4]))
    assert say(card, b"sixteen bytes ok\0\0") == Reply(data=b"\x01", last_bits=4)
    assert card.block(4) == bytes(16)


@pytest.mark.parametrize(("command", "key"), [(cards.AUTH_A, b"AAAAAA"), (cards.AUTH_B, b"BBBBBB")])
def test_each_key_opens_its_sector_and_no_other(command: int, key: bytes) -> None:
    card = VirtualCard(UID4)
    card.set_keys(1, key_a=b"AAAAAA", key_b=b"BBBBBB")
    wake(card)
    choose(card)
    assert card.authenticate(command, 4, key, UID4)
    assert not card.authenticate(command, 8, key, UID4)


def test_plain_frames_are_noise_to_a_card_that_enciphers() -> None:
    card = opened(VirtualCard(UID4))
    assert card.hear(b"\x30\x04\x26\xee", bits=0, enciphered=False) is None
    assert card.state is CardState.IDLE


def test_a_card_pulled_away_after_two_frames_is_gone_until_it_comes_back() -> None:
    card = VirtualCard(UID4)
    card.leave_after(frames=2)
    assert wake(card) is not None
    assert say(card, b"\x93\x20") is not None
    assert say(card, b"\x93\x20") is None
    assert wake(card) is None
    card.enter_field()
    assert wake(card) is not None


def test_a_reply_cut_short_arrives_in_part() -> None:
    card = VirtualCard(UID4)
    card.leave_after(air_bytes=3 + 2 + 3)  # WUPA and ATQA, the question, three bytes of five
    wake(card)
    assert say(card, b"\x93\x20") == Reply(data=UID4[:3])


def test_a_card_gone_before_it_acknowledges_leaves_a_block_half_programmed() -> None:
    card = opened(VirtualCard(UID4))
    say_crc(card, bytes([cards.WRITE, 4]))
    card.leave_after(air_bytes=18)
    assert say_crc(card, b"x" * 16) is None
    assert card.block(4) == b"x" * 8 + bytes(8)


def test_a_copy_has_the_same_content_and_a_life_of_its_own() -> None:
    card = VirtualCard(UID4)
    card.set_block(4, b"sixteen bytes ok")
    clone = card.copy()
    card.set_block(4, bytes(16))
    assert (clone.uid, clone.block(4)) == (UID4, b"sixteen bytes ok")
