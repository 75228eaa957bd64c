"""Keys and tokens of cards: vectors of the standards, and what no key and no token may be."""

import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from access.tokens import UNPROVEN, counter_of
from edge.badges import keys as card_keys
from edge.badges.keys import WELL_KNOWN_KEYS, CardKeyError, SiteKeys, derive
from edge.badges.token import HIGHEST_COUNTER, make_token, read_token

MASTER = bytes(range(32))
SITE = SiteKeys(master=MASTER)
UID = bytes.fromhex("04112233445566")

# RFC 5869, appendix A.1 to A.3: secret, salt, info, length, result.
HKDF_VECTORS = [
    (
        "0b" * 22,
        "000102030405060708090a0b0c",
        "f0f1f2f3f4f5f6f7f8f9",
        42,
        "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865",
    ),
    (
        bytes(range(0x50)).hex(),
        bytes(range(0x60, 0xB0)).hex(),
        bytes(range(0xB0, 0x100)).hex(),
        82,
        (
            "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c59045a99cac7827271cb"
            "41c65e590e09da3275600c2f09b8367793a9aca3db71cc30c58179ec3e87c14c01d5c1f3434f1d87"
        ),
    ),
    (
        "0b" * 22,
        "",
        "",
        42,
        "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8",
    ),
]

uids = st.sampled_from([4, 7, 10]).flatmap(lambda size: st.binary(min_size=size, max_size=size))
counters = st.integers(1, HIGHEST_COUNTER)
nonces = st.binary(min_size=4, max_size=4)
sectors = st.sampled_from([1, 2])


def by_hand(info: bytes, length: int) -> bytes:
    """HKDF-SHA256 for up to 32 bytes, from RFC 2104's HMAC alone."""
    extracted = hmac.digest(bytes(32), MASTER, hashlib.sha256)
    return hmac.digest(extracted, info + b"\x01", hashlib.sha256)[:length]


@pytest.mark.parametrize(("secret", "salt", "info", "length", "result"), HKDF_VECTORS)
def test_keys_are_derived_as_the_standard_says(
    secret: str, salt: str, info: str, length: int, result: str
) -> None:
    derived = derive(
        bytes.fromhex(secret), bytes.fromhex(info), length, bytes.fromhex(salt) or None
    )
    assert derived.hex() == result


def test_each_key_of_a_card_comes_from_its_purpose_its_uid_and_its_sector() -> None:
    keys = SITE.of(UID)
    head = b"gardien/1/card/"
    tail = b"\0\x07" + UID
    assert keys.mac_key == by_hand(head + b"mac" + tail + b"\0\0", 32)
    for number, sector in zip((1, 2), keys.sectors, strict=True):
        place = bytes([number, 0])
        assert sector.key_a == by_hand(head + b"key-a" + tail + place, 6)
        assert sector.key_b == by_hand(head + b"key-b" + tail + place, 6)


def test_the_keys_of_a_card_are_the_same_for_ever() -> None:
    # Worked out once by hand, as above: another result would make all cards strange.
    keys = SITE.of(UID)
    found = [(each.key_a.hex(), each.key_b.hex()) for each in keys.sectors]
    assert (found, keys.mac_key[:8].hex()) == KEYS_OF_UID


KEYS_OF_UID = (
    [("09cb3e9d968c", "cf0edc61cbef"), ("ebc885516dd5", "4e51a826289e")],
    "ac21cfaefc91e21b",
)


def test_all_keys_of_two_cards_and_of_two_sites_differ() -> None:
    found = []
    for site in (SITE, SiteKeys(master=MASTER[::-1])):
        for uid in (UID, UID[:4], bytes(7)):
            keys = site.of(uid)
            found += [key for each in keys.sectors for key in (each.key_a, each.key_b)]
            found.append(keys.mac_key)
    assert len(set(found)) == len(found)


def test_a_derived_key_that_everybody_knows_is_derived_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first = SITE.of(UID).sectors[0].key_a
    monkeypatch.setattr(card_keys, "WELL_KNOWN_KEYS", (*WELL_KNOWN_KEYS, first))
    again = SITE.of(UID).sectors[0].key_a
    assert again != first
    assert again == by_hand(b"gardien/1/card/key-a\0\x07" + UID + b"\x01\x01", 6)


@pytest.mark.parametrize("master", [b"", bytes(31), bytes(32), b"\xff" * 32, b"a" * 32, bytes(33)])
def test_a_master_key_that_is_no_secret_is_refused(master: bytes) -> None:
    with pytest.raises(CardKeyError):
        SiteKeys(master=master)


@pytest.mark.parametrize("pair", [(0, 1), (1, 1), (1, 16), (3, -1)])
def test_sectors_that_can_t_be_ours_are_refused(pair: tuple[int, int]) -> None:
    with pytest.raises(CardKeyError, match="1 to 15"):
        SiteKeys(master=MASTER, sectors=pair)


def test_no_key_is_shown_where_keys_are_printed() -> None:
    keys = SITE.of(UID)
    shown = repr(SITE) + repr(keys)
    secrets = [MASTER, keys.mac_key, *(key for s in keys.sectors for key in (s.key_a, s.key_b))]
    assert not any(secret.hex() in shown or repr(secret) in shown for secret in secrets)


def test_a_token_block_is_counter_nonce_and_mac() -> None:
    keys = SITE.of(UID)
    block = make_token(keys, 2, 258, b"nonc")
    signed = b"\x00\x00\x01\x02nonc"
    mac = hmac.digest(keys.mac_key, UID + b"\x02" + signed, hashlib.sha256)[:8]
    assert block.raw == signed + mac
    assert block.token == block.raw.hex()
    assert counter_of(block.token) == 258


@given(uid=uids, sector=sectors, counter=counters, nonce=nonces)
def test_a_token_that_was_made_is_read_again(
    uid: bytes, sector: int, counter: int, nonce: bytes
) -> None:
    keys = SITE.of(uid)
    made = make_token(keys, sector, counter, nonce)
    assert read_token(keys, sector, made.raw) == made


@given(uid=uids, sector=sectors, counter=counters, nonce=nonces, bit=st.integers(0, 127))
def test_a_token_with_any_bit_changed_is_none(
    uid: bytes, sector: int, counter: int, nonce: bytes, bit: int
) -> None:
    keys = SITE.of(uid)
    raw = int.from_bytes(make_token(keys, sector, counter, nonce).raw, "big") ^ 1 << bit
    assert read_token(keys, sector, raw.to_bytes(16, "big")) is None


@given(uid=uids, other=uids, sector=sectors, counter=counters, nonce=nonces)
def test_a_token_fits_no_other_card_and_no_other_sector(
    uid: bytes, other: bytes, sector: int, counter: int, nonce: bytes
) -> None:
    made = make_token(SITE.of(uid), sector, counter, nonce)
    assert read_token(SITE.of(uid), 3 - sector, made.raw) is None
    if other != uid:
        assert read_token(SITE.of(other), sector, made.raw) is None


@given(old=st.tuples(counters, nonces), new=st.tuples(counters, nonces))
def test_a_block_half_old_and_half_new_is_none(
    old: tuple[int, bytes], new: tuple[int, bytes]
) -> None:
    keys = SITE.of(UID)
    first, second = make_token(keys, 1, *old), make_token(keys, 1, *new)
    if first.raw[:8] != second.raw[:8]:
        assert read_token(keys, 1, second.raw[:8] + first.raw[8:]) is None


@given(raw=st.binary(min_size=16, max_size=16))
def test_a_block_that_nobody_signed_is_none(raw: bytes) -> None:
    assert read_token(SITE.of(UID), 1, raw) is None


def test_what_stands_for_no_proof_is_a_token_of_no_card() -> None:
    assert read_token(SITE.of(UID), 1, bytes.fromhex(UNPROVEN)) is None
    with pytest.raises(ValueError, match="counter"):
        make_token(SITE.of(UID), 1, 0, b"nonc")


@pytest.mark.parametrize(("counter", "nonce"), [(0, b"nonc"), (2**32, b"nonc"), (1, b"non")])
def test_a_counter_or_nonce_of_the_wrong_size_is_refused(counter: int, nonce: bytes) -> None:
    with pytest.raises(ValueError, match=r"counter|nonce"):
        make_token(SITE.of(UID), 1, counter, nonce)
