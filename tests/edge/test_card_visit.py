"""A visit proves a card and moves its token on; pulled away at any byte, it works at the next."""

import os

import pytest

from edge.badges.formatting import format_card
from edge.badges.keys import SiteKeys
from edge.badges.token import HIGHEST_COUNTER, TokenBlock, make_token, read_token
from edge.badges.trailer import TRANSPORT_KEY
from edge.badges.visit import Unproven, prove
from edge.ports import Card
from edge.simulated.bench import Bench
from edge.simulated.card import VirtualCard

SITE = SiteKeys(master=bytes(range(32)))
OTHER_SITE = SiteKeys(master=bytes(range(1, 33)))
UIDS = ["deadbeef", "04112233445566", "04112233445566778899"]
FIRST = 1000


def enrolled(bench: Bench, uid: str = UIDS[1]) -> VirtualCard:
    card = bench.lay(uid)
    with bench.reader.session() as session:
        assert session is not None
        done = format_card(session, SITE.of(card.uid), random=os.urandom, counter=FIRST)
    assert isinstance(done, TokenBlock)
    return card


def visit(bench: Bench, site: SiteKeys = SITE, at_least: int = 1) -> TokenBlock | Unproven | None:
    """Do as the reader's thread does: look, then open the card that was seen."""
    seen = bench.reader.poll()
    if not isinstance(seen, Card):
        return None
    with bench.reader.session() as session:
        if session is None or session.uid != seen.uid:
            return Unproven.LEFT
        return prove(session, site.of(session.uid), random=os.urandom, at_least=at_least)


def counter(outcome: object) -> int:
    assert isinstance(outcome, TokenBlock), outcome
    return outcome.counter


def newest_on(card: VirtualCard) -> int:
    keys = SITE.of(card.uid)
    blocks = [read_token(keys, s.number, card.block(s.block)) for s in keys.sectors]
    return max(each.counter for each in blocks if each is not None)


@pytest.mark.parametrize("uid", UIDS)
def test_each_visit_writes_the_next_counter_into_the_other_sector(bench: Bench, uid: str) -> None:
    card = enrolled(bench, uid)
    before = newest_on(card)
    done = [visit(bench) for _ in range(6)]
    assert [counter(each) for each in done] == list(range(before + 1, before + 7))
    sectors = [each.sector for each in done if isinstance(each, TokenBlock)]
    assert sectors in ([1, 2] * 3, [2, 1] * 3)
    assert newest_on(card) == before + 6


def test_a_counter_may_be_told_to_jump_ahead_and_never_back(bench: Bench) -> None:
    enrolled(bench)
    assert counter(visit(bench, at_least=9000)) == 9000
    assert counter(visit(bench, at_least=5)) == 9001


@pytest.mark.parametrize(("uid", "least_cuts"), list(zip(UIDS, (155, 195, 235), strict=True)))
def test_a_card_pulled_away_at_any_byte_of_its_visit_works_at_its_next_read(
    bench: Bench, uid: str, least_cuts: int
) -> None:
    start, count = enrolled(bench, uid), 0
    seen, is_whole, air_bytes = newest_on(start), False, -1
    while not is_whole:
        air_bytes += 1
        for torn_at in (8, 0, 16):  # of a block that it programs, half is written, none, or all
            card = start.copy()
            card.torn_at = torn_at
            bench.chip.put(card)
            card.leave_after(air_bytes=air_bytes)
            cut = visit(bench)
            is_whole = not card.is_gone
            told = cut.counter if isinstance(cut, TokenBlock) else seen
            assert isinstance(cut, TokenBlock) or cut in (None, Unproven.LEFT)
            card.leave_after()
            card.enter_field()
            assert counter(visit(bench)) > told, f"cut at byte {air_bytes}, torn at {torn_at}"
            count += 1
            if not card.was_torn:
                break
    assert count >= least_cuts


@pytest.mark.parametrize("frames", range(40))
def test_a_card_pulled_away_again_and_again_still_works(bench: Bench, frames: int) -> None:
    card = enrolled(bench)
    for more in range(5):
        card.leave_after(frames=(frames + 7 * more) % 40)
        visit(bench)
        card.leave_after()
        card.enter_field()
    assert isinstance(visit(bench), TokenBlock)


def test_a_full_copy_and_its_card_can_t_both_go_on_from_the_same_counter(bench: Bench) -> None:
    card = enrolled(bench)
    copy = card.copy()
    first = counter(visit(bench))
    bench.chip.put(copy)
    assert counter(visit(bench)) == first


def test_a_magic_card_with_the_uid_alone_proves_nothing(bench: Bench) -> None:
    card = enrolled(bench)
    bench.chip.put(VirtualCard(card.uid))
    assert visit(bench) is Unproven.FORGED


def test_a_card_with_our_sectors_and_keys_of_somebody_else_proves_nothing(bench: Bench) -> None:
    card = enrolled(bench)
    assert visit(bench, OTHER_SITE) is Unproven.FORGED
    magic = VirtualCard(card.uid)
    for sector in (1, 2):
        magic.set_keys(sector, key_a=b"random", key_b=b"unlike")
    bench.chip.put(magic)
    assert visit(bench) is Unproven.FORGED


def test_a_card_with_one_of_our_sectors_only_proves_nothing(bench: Bench) -> None:
    card = enrolled(bench)
    card.set_keys(2, key_a=TRANSPORT_KEY, key_b=TRANSPORT_KEY)
    assert visit(bench) is Unproven.FORGED


def test_a_card_with_our_keys_and_made_up_tokens_proves_nothing(bench: Bench) -> None:
    card = enrolled(bench)
    for block in (4, 8):
        card.set_block(block, os.urandom(16))
    assert visit(bench) is Unproven.FORGED


def test_one_token_block_that_is_whole_is_enough(bench: Bench) -> None:
    card = enrolled(bench)
    visit(bench)
    newest = newest_on(card)
    older = 4 if int.from_bytes(card.block(4)[:4], "big") < newest else 8
    card.set_block(older, os.urandom(16))
    assert counter(visit(bench)) == newest + 1


def test_a_token_of_the_other_sector_is_none(bench: Bench) -> None:
    card = enrolled(bench)
    four, eight = card.block(4), card.block(8)
    card.set_block(4, eight)
    card.set_block(8, four)
    assert visit(bench) is Unproven.FORGED


@pytest.mark.parametrize("refusals", [1, 2])
def test_a_write_that_the_card_refuses_is_tried_again(bench: Bench, refusals: int) -> None:
    card = enrolled(bench)
    before = newest_on(card)
    card.refuse_writes(refusals)
    assert counter(visit(bench)) == before + 1


def test_a_card_that_refuses_to_be_written_is_not_taken_for_a_copy(bench: Bench) -> None:
    card = enrolled(bench)
    card.refuse_writes(100)
    assert visit(bench) is Unproven.UNSURE
    card.refuse_writes(0)
    assert isinstance(visit(bench), TokenBlock)


def test_a_card_at_its_last_counter_goes_no_further(bench: Bench) -> None:
    card = enrolled(bench)
    last = make_token(SITE.of(card.uid), 1, HIGHEST_COUNTER, b"last")
    card.set_block(4, last.raw)
    assert visit(bench) is Unproven.FORGED


def test_a_card_that_left_is_gone_and_no_forgery(bench: Bench) -> None:
    card = enrolled(bench)
    with bench.reader.session() as session:
        assert session is not None
        bench.chip.take()
        assert prove(session, SITE.of(card.uid), random=os.urandom) is Unproven.LEFT


@pytest.mark.parametrize(("transfer_us", "most_ms"), [(10, 90), (30, 110), (100, 160)])
def test_a_visit_is_over_before_a_hand_moves_on(
    bench: Bench, transfer_us: int, most_ms: int
) -> None:
    enrolled(bench)
    bench.clock.transfer_us = transfer_us
    begun_us = bench.clock.now_us()
    assert isinstance(visit(bench), TokenBlock)
    assert bench.clock.now_us() - begun_us < most_ms * 1000
