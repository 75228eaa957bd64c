"""Server-sent events: they come when something changes, and dead browsers hold no thread."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask

from access.ids import MemberId, SiteId
from dashboards.app import hub_of
from dashboards.live import Hub, Marks, TooManyStreamsError
from server import api_tokens
from server.api_tokens import Scope
from server.database import DatabaseError
from server.events import GuestsChanged

HERE = SiteId("here")


class World:
    """Marks that a test changes."""

    def __init__(self) -> None:
        self.marks = {HERE: Marks(board="1", public="a")}
        self.looks = threading.Semaphore(0)
        self.error: Exception | None = None

    def read(self) -> Any:
        self.looks.release()
        if self.error is not None:
            raise self.error
        return dict(self.marks)


def hub_on(world: World, most: int = 2, heartbeat_s: float = 5.0) -> Hub:
    return Hub(read=world.read, most=most, interval_s=0.005, heartbeat_s=heartbeat_s)


def test_a_stream_tells_the_mark_at_once_and_again_when_it_changes() -> None:
    world = World()
    with hub_on(world) as hub:
        stream = hub.stream(HERE, is_public=False)
        assert next(stream) == "retry: 2000\n\n"
        assert next(stream) == "data: 1\n\n"
        world.marks[HERE] = Marks(board="2", public="a")
        assert next(stream) == "data: 2\n\n"


def test_a_public_stream_is_silent_when_no_number_changes() -> None:
    world = World()
    with hub_on(world, heartbeat_s=0.05) as hub:
        stream = hub.stream(HERE, is_public=True)
        assert [next(stream), next(stream)] == ["retry: 2000\n\n", "data: a\n\n"]
        world.marks[HERE] = Marks(board="2", public="a")
        assert next(stream) == ": still here\n\n"


def test_there_are_only_so_many_streams_and_a_closed_one_makes_room() -> None:
    with hub_on(World()) as hub:
        first = hub.stream(HERE, is_public=False)
        hub.stream(HERE, is_public=False)
        with pytest.raises(TooManyStreamsError):
            hub.stream(HERE, is_public=False)
        first.close()
        first.close()
        assert hub.streams == 1
        hub.stream(HERE, is_public=False)


def test_strangers_leave_room_for_those_who_keep_the_place() -> None:
    with hub_on(World(), most=4) as hub:
        for _ in range(2):
            hub.stream(HERE, is_public=True)
        with pytest.raises(TooManyStreamsError):
            hub.stream(HERE, is_public=True)
        hub.stream(HERE, is_public=False)


def test_a_stream_ends_when_its_browser_has_gone() -> None:
    with hub_on(World()) as hub:
        stream = hub.stream(HERE, is_public=False, is_gone=lambda: True)
        next(stream)
        while (piece := next(stream, None)) is not None:
            assert piece == "data: 1\n\n"


def test_a_hub_that_closes_ends_its_streams() -> None:
    world = World()
    hub = hub_on(world)
    stream = hub.stream(HERE, is_public=False)
    assert [next(stream), next(stream)] == ["retry: 2000\n\n", "data: 1\n\n"]
    ended = threading.Thread(target=lambda: list(stream))
    ended.start()
    hub.close()
    hub.close()
    ended.join(5)
    assert not ended.is_alive()


def test_nothing_is_read_while_nobody_looks() -> None:
    world = World()
    with hub_on(world) as hub:
        hub.stream(HERE, is_public=False).close()
        while world.looks.acquire(timeout=0.1):
            pass
        assert not world.looks.acquire(timeout=0.1)


@pytest.mark.parametrize("error", [DatabaseError("away"), RuntimeError("a fault of ours")])
def test_a_reading_that_fails_is_tried_again(error: Exception) -> None:
    world = World()
    world.error = error
    with hub_on(world) as hub:
        stream = hub.stream(HERE, is_public=False)
        next(stream)
        assert world.looks.acquire(timeout=5)
        world.error = None
        assert next(stream) == "data: 1\n\n"


def test_the_page_and_its_stream_agree_on_the_mark(
    place: Any, app: Flask, browser_of: Callable[[str | None], Any]
) -> None:
    browser = browser_of("salome")
    page = browser.text("/")
    answer = browser.get("/live", buffered=False)
    pieces = iter(answer.response)
    assert next(pieces) == b"retry: 2000\n\n"
    mark = next(pieces).decode().removeprefix("data: ").strip()
    assert f'data-mark="{mark}"' in page
    place.handle(GuestsChanged(by=MemberId("claire"), change=1))
    assert next(pieces).decode() == f"data: {int(mark) + 1}\n\n"
    answer.close()
    assert hub_of(app).streams == 0


def test_a_live_page_too_many_is_told_to_come_back(
    place: Any, make_browser: Callable[..., Any]
) -> None:
    with make_browser(place, most_streams=1) as browser:
        first = browser.get("/live/numbers", buffered=False)
        answer = browser.get("/live/numbers")
        assert answer.status_code == 503
        assert answer.headers["Retry-After"] == "30"
        first.close()
        browser.get("/live/numbers", buffered=False).close()


def test_a_stream_ends_at_the_next_piece_when_its_reader_may_read_no_more() -> None:
    world, may = World(), [True]
    with hub_on(world, heartbeat_s=0.05) as hub:
        stream = hub.stream(HERE, is_public=False, is_welcome=lambda: may[0])
        assert [next(stream), next(stream)] == ["retry: 2000\n\n", "data: 1\n\n"]
        assert next(stream) == ": still here\n\n"
        may[0] = False
        world.marks[HERE] = Marks(board="2", public="a")
        assert list(stream) == []


def test_a_stream_ends_when_its_token_is_revoked(
    place: Any, program_of: Callable[..., Any]
) -> None:
    pieces = iter(program_of("salome", Scope.EVENTS_READ).get("/live").response)
    assert b"retry" in next(pieces)
    assert b"data" in next(pieces)
    with place.installation.database.writing() as connection:
        (token,) = api_tokens.list_tokens(connection, MemberId("salome"))
        api_tokens.revoke(connection, token.id, place.clock.now())
    place.handle(GuestsChanged(by=MemberId("claire"), change=1))
    assert list(pieces) == []
