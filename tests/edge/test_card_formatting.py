"""Enrolling a card, and making it blank again: whole, or to be taken up again from any byte."""

import itertools
import os
from collections.abc import Callable, Iterator

import pytest

from edge.badges.formatting import FACTORY_KEYS, Unformatted, blank_card, format_card
from edge.badges.keys import CardKeys, SiteKeys
from edge.badges.session import CardSession
from edge.badges.token import TokenBlock, read_token
from edge.badges.trailer import OUR_ACCESS, TRANSPORT_ACCESS, TRANSPORT_KEY
from edge.badges.visit import prove
from edge.simulated.access_bits import AccessBits
from edge.simulated.bench import Bench
from edge.simulated.card import VirtualCard

SITE = SiteKeys(master=bytes(range(32)))
OTHER_SITE = SiteKeys(master=bytes(range(1, 33)))
UID = "04112233445566"
FIRST = 1000
LEAST_CUTS = 500

Work = Callable[[CardSession, CardKeys], object]


def formatting(session: CardSession, keys: CardKeys) -> object:
    return format_card(session, keys, random=os.urandom, counter=FIRST)


def do(bench: Bench, work: Work = formatting, site: SiteKeys = SITE) -> object:
    with bench.reader.session() as session:
        return None if session is None else work(session, site.of(session.uid))


def is_ours(card: VirtualCard) -> bool:
    keys = SITE.of(card.uid)
    blocks = [read_token(keys, s.number, card.block(s.block)) for s in keys.sectors]
    trailers = [s.key_a + OUR_ACCESS + s.key_b for s in keys.sectors]
    return None not in blocks and [card.block(s.trailer) for s in keys.sectors] == trailers


def cuts(bench: Bench, start: VirtualCard, work: Work) -> Iterator[VirtualCard]:
    """Pull a card away at every byte of the work, and lay it there again each time.

    A card that leaves while it programs a block is torn in three ways: nothing of the block is
    written, half of it, or all of it.
    """
    for air_bytes in itertools.count():
        for torn_at in (8, 0, 16):
            card = start.copy()
            card.torn_at = torn_at
            bench.chip.put(card)
            card.leave_after(air_bytes=air_bytes)
            do(bench, work)
            is_whole = not card.is_gone
            card.leave_after()
            card.enter_field()
            yield card
            if not card.was_torn:
                break
        if is_whole:
            return


def is_token(done: object) -> bool:
    return isinstance(done, TokenBlock)


def test_a_factory_card_is_enrolled_and_works(bench: Bench) -> None:
    card = bench.lay(UID)
    done = do(bench)
    assert isinstance(done, TokenBlock)
    assert done.counter == FIRST + 2
    assert is_ours(card)
    again = do(bench, lambda session, keys: prove(session, keys, random=os.urandom))
    assert isinstance(again, TokenBlock)
    assert again.counter == done.counter + 1


def test_nothing_else_on_the_card_is_touched(bench: Bench) -> None:
    card = bench.lay(UID)
    for block in (1, 2, 12, 60):
        card.set_block(block, b"of somebody else")
    before = {block: card.block(block) for block in range(64) if block // 4 not in (1, 2)}
    do(bench)
    assert {block: card.block(block) for block in before} == before


@pytest.mark.parametrize("key", FACTORY_KEYS)
def test_a_card_may_come_with_any_key_of_a_factory(bench: Bench, key: bytes) -> None:
    card = bench.lay(UID)
    for sector in (1, 2):
        card.set_keys(sector, key_a=key, key_b=key)
    assert is_token(do(bench))
    assert is_ours(card)


def test_the_sectors_are_those_of_the_site(bench: Bench) -> None:
    card = bench.lay(UID)
    assert is_token(do(bench, site=SiteKeys(master=SITE.master, sectors=(5, 15))))
    assert card.block(4 * 15 + 3)[6:9] == OUR_ACCESS[:3]
    assert card.block(7)[6:9] == TRANSPORT_ACCESS[:3]


def test_a_card_of_ours_that_is_enrolled_again_goes_on_from_its_newest_token(bench: Bench) -> None:
    bench.lay(UID)
    first = do(bench, lambda s, k: format_card(s, k, random=os.urandom, counter=5000))
    again = do(bench)
    assert isinstance(first, TokenBlock)
    assert isinstance(again, TokenBlock)
    assert again.counter == first.counter + 1


def test_a_card_that_was_blank_in_between_begins_where_it_is_told(bench: Bench) -> None:
    bench.lay(UID)
    do(bench)
    assert do(bench, blank_card) is None
    again = do(bench, lambda s, k: format_card(s, k, random=os.urandom, counter=7000))
    assert isinstance(again, TokenBlock)
    assert again.counter > 7000


def test_a_card_of_another_site_is_left_as_it_is(bench: Bench) -> None:
    card = bench.lay(UID)
    do(bench, site=OTHER_SITE)
    before = card.image
    assert do(bench) is Unformatted.FOREIGN
    assert do(bench, blank_card) is Unformatted.FOREIGN
    assert card.image == before


def test_a_card_with_access_bits_of_somebody_else_is_left_as_it_is(bench: Bench) -> None:
    card = bench.lay(UID)
    card.set_block(7, TRANSPORT_KEY + bytes.fromhex("78778869") + TRANSPORT_KEY)
    before = card.image
    assert do(bench) is Unformatted.FOREIGN
    assert card.image == before


def test_a_card_that_refuses_to_be_written_is_no_badge(bench: Bench) -> None:
    card = bench.lay(UID)
    card.refuse_writes(1000)
    assert do(bench) is Unformatted.UNSURE
    card.refuse_writes(1)
    assert is_token(do(bench))


def test_a_card_pulled_away_at_any_byte_of_its_enrolment_can_be_enrolled_again(
    bench: Bench,
) -> None:
    count = 0
    for card in cuts(bench, VirtualCard(bytes.fromhex(UID)), formatting):
        count += 1
        assert is_token(do(bench)), f"cut number {count}"
        assert is_ours(card)
    assert count >= LEAST_CUTS


def test_a_card_pulled_away_at_any_byte_of_being_made_blank_can_be_made_blank_again(
    bench: Bench,
) -> None:
    ours = bench.lay(UID)
    do(bench)
    factory, count = VirtualCard(ours.uid).image, 0
    for card in cuts(bench, ours, blank_card):
        count += 1
        assert do(bench, blank_card) is None, f"cut number {count}"
        assert card.image == factory
    assert count >= LEAST_CUTS


def test_a_card_half_blank_can_be_enrolled_and_one_half_enrolled_be_made_blank(
    bench: Bench,
) -> None:
    factory = VirtualCard(bytes.fromhex(UID))
    for count, card in enumerate(cuts(bench, factory, formatting)):
        if card.was_torn or count % 7 == 0:
            assert do(bench, blank_card) is None, f"cut number {count}"
    bench.chip.put(ours := factory.copy())
    do(bench)
    for count, card in enumerate(cuts(bench, ours, blank_card)):
        if card.was_torn or count % 7 == 0:
            assert is_token(do(bench)), f"cut number {count}"


def test_each_trailer_on_the_way_has_access_bits_that_fit_however_it_is_halved(
    bench: Bench,
) -> None:
    card = bench.lay(UID)
    seen = {card.block(7)}

    def noting(session: CardSession, keys: CardKeys) -> object:
        done = formatting(session, keys)
        seen.add(card.block(7))
        blank_card(session, keys)
        seen.add(card.block(7))
        return done

    do(bench, noting)
    halves = [a[:8] + b[8:] for a, b in itertools.product(seen, repeat=2)]
    assert all(AccessBits(half).is_whole for half in halves)


def test_keys_are_read_by_nobody_and_tokens_are_written_by_key_b_alone(bench: Bench) -> None:
    card = bench.lay(UID)
    do(bench)
    sector = SITE.of(card.uid).sectors[0]
    with bench.reader.session() as session:
        assert session is not None
        for key, with_b in ((sector.key_a, False), (sector.key_b, True)):
            assert session.authenticate(sector.block, key, with_key_b=with_b)
            assert session.read(sector.block) == card.block(sector.block)
            trailer = session.read(sector.trailer)
            assert trailer == bytes(6) + OUR_ACCESS + bytes(6)
        assert session.authenticate(sector.block, sector.key_a)
        assert not session.write(sector.block, bytes(16))
        assert session.select_again()
        assert session.authenticate(sector.block, sector.key_a)
        assert not session.write(sector.trailer, bytes(16))
        assert session.select_again()
        assert session.authenticate(sector.block, sector.key_b, with_key_b=True)
        assert session.write(sector.trailer, TRANSPORT_KEY + OUR_ACCESS + TRANSPORT_KEY)
    assert is_ours(card)
