"""Who may say what: each client has its own topics, and nothing else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.acl import (
    Client,
    covers,
    grants_of,
    may_publish,
    may_receive,
    may_subscribe,
    mosquitto_acl,
)

SERVER = Client(name="server", role="server", discovery_prefix="homeassistant")
MAIN = Client(name="malakoff.main", role="door", site="malakoff", door="main")
LAB = Client(name="malakoff.lab", role="door", site="malakoff", door="lab")
SCREEN = Client(name="hall", role="screen")
CLIENTS = (SERVER, MAIN, LAB, SCREEN)

SLUGS = st.sampled_from(["malakoff", "paris", "main", "lab", "policy", "server", "+", "#", ""])
LEAVES = st.sampled_from(
    ["request", "decision", "journal", "ack", "command", "state", "policy", "server", "occupancy"]
)
FILTERS = st.lists(st.one_of(st.just("gardien"), st.just("1"), SLUGS, LEAVES), max_size=6).map(
    "/".join
) | st.tuples(SLUGS, SLUGS | LEAVES, LEAVES).map(lambda parts: "/".join(["gardien/1", *parts]))


@pytest.mark.parametrize("what", ["request", "journal", "state"])
def test_a_door_says_what_is_its_own_and_no_other_doors(what: str) -> None:
    assert may_publish(MAIN, f"gardien/1/malakoff/main/{what}")
    assert may_receive(SERVER, f"gardien/1/malakoff/main/{what}")
    for topic in (f"gardien/1/malakoff/lab/{what}", f"gardien/1/paris/main/{what}"):
        assert not may_publish(MAIN, topic)
        assert not may_receive(MAIN, topic)


@pytest.mark.parametrize("what", ["decision", "ack", "command"])
def test_only_the_server_answers_and_only_the_asking_door_hears(what: str) -> None:
    topic = f"gardien/1/malakoff/main/{what}"
    assert [client.name for client in CLIENTS if may_publish(client, topic)] == ["server"]
    assert [client.name for client in CLIENTS if may_receive(client, topic)] == ["malakoff.main"]


@pytest.mark.parametrize("what", ["policy", "server"])
def test_a_site_speaks_to_its_own_doors(what: str) -> None:
    assert may_receive(MAIN, f"gardien/1/malakoff/{what}")
    assert not may_receive(MAIN, f"gardien/1/paris/{what}")
    assert not may_publish(MAIN, f"gardien/1/malakoff/{what}")
    assert may_publish(SERVER, f"gardien/1/paris/{what}")


def test_a_screen_sees_the_numbers_and_says_nothing() -> None:
    assert grants_of(SCREEN).publish == ()
    assert grants_of(SCREEN).receive == ("gardien/1/+/occupancy",)
    assert may_subscribe(SCREEN, "gardien/1/malakoff/occupancy")
    assert not may_subscribe(SCREEN, "gardien/1/malakoff/+")


def test_a_server_announces_itself_only_under_its_prefix() -> None:
    assert may_publish(SERVER, "homeassistant/sensor/gardien/malakoff-present/config")
    assert not may_publish(SERVER, "homeassistant/switch/gardien/malakoff-main/config")
    assert not may_publish(SERVER, "homeassistant/sensor/kitchen/config")
    assert not may_publish(Client(name="server", role="server"), "homeassistant/x")


@pytest.mark.parametrize(
    "asked",
    ["#", "+/+/+/+/+", "gardien/#", "gardien/1/malakoff/#", "gardien/1/malakoff/main/#", ""],
)
def test_a_door_may_not_ask_for_more_than_it_may_hear(asked: str) -> None:
    assert not may_subscribe(MAIN, asked)


def test_servers_may_share_the_work() -> None:
    assert may_subscribe(SERVER, "$share/gardien/gardien/1/+/+/request")
    assert not may_subscribe(MAIN, "$share/gardien/gardien/1/+/+/request")


@pytest.mark.parametrize(
    ("granted", "asked", "covered"),
    [
        ("a/+/c", "a/b/c", True),
        ("a/+/c", "a/+/c", True),
        ("a/+/c", "a/#", False),
        ("a/+", "a", False),
        ("a/+", "a/b/c", False),
        ("a/#", "a", True),
        ("a/#", "a/b/c", True),
        ("a/#", "a/#", True),
        ("a/b", "a/+", False),
        ("#", "$SYS/broker", False),
    ],
)
def test_a_filter_covers_what_mqtt_says(granted: str, asked: str, *, covered: bool) -> None:
    assert covers(granted, asked) is covered


@given(st.sampled_from(CLIENTS), FILTERS, FILTERS)
def test_whoever_may_subscribe_may_receive_all_that_the_filter_matches(
    client: Client, asked: str, topic: str
) -> None:
    is_topic = not set("+#") & set(topic)
    if may_subscribe(client, asked) and is_topic and topic and covers(asked, topic):
        assert may_receive(client, topic)


@given(FILTERS)
def test_no_door_writes_where_another_may_write(topic: str) -> None:
    assert sum(may_publish(client, topic) for client in CLIENTS) <= 1


@pytest.mark.parametrize(
    "fields",
    [
        {"name": "a b", "role": "screen"},
        {"name": "x\ntopic #", "role": "screen"},
        {"name": "#", "role": "server"},
        {"name": "server", "role": "server", "discovery_prefix": "a/#"},
        {"name": "malakoff.main", "role": "door"},
        {"name": "malakoff.main", "role": "door", "site": "malakoff", "door": "lab"},
        {"name": "a.+", "role": "door", "site": "a", "door": "+"},
    ],
)
def test_a_client_that_could_reach_beyond_its_topics_is_refused(fields: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"use|must be"):
        Client(**fields)  # type: ignore[arg-type]


def test_the_file_for_mosquitto_lists_each_client_and_nothing_for_others() -> None:
    text = mosquitto_acl([MAIN, SCREEN])
    before, *sections = text.split("user ")
    assert all(line.startswith("#") for line in before.splitlines() if line)
    assert sections[0].splitlines()[0] == "hall"
    assert sections[1].splitlines()[:3] == [
        "malakoff.main",
        "topic write gardien/1/malakoff/main/request",
        "topic write gardien/1/malakoff/main/journal",
    ]
    assert mosquitto_acl([]).strip()


def test_a_home_automation_reads_conditions_and_says_only_that_it_is_there() -> None:
    home = Client(name="home", role="home", discovery_prefix="homeassistant")
    assert may_publish(home, "homeassistant/status")
    assert not may_publish(home, "homeassistant/sensor/gardien/malakoff_present/config")
    assert not may_publish(home, "gardien/1/malakoff/main/command")
    assert may_subscribe(home, "homeassistant/+/+/+/config")
    for what in ("occupancy", "server", "main/state"):
        assert may_receive(home, f"gardien/1/malakoff/{what}")
    for what in ("policy", "main/request", "main/decision", "main/journal", "main/command"):
        assert not may_receive(home, f"gardien/1/malakoff/{what}")


def test_a_home_automation_without_a_prefix_reads_states_and_writes_nothing() -> None:
    home = Client(name="home", role="home")
    assert not may_publish(home, "/status")
    assert may_receive(home, "gardien/1/malakoff/occupancy")
    assert not may_receive(home, "homeassistant/sensor/gardien/x/config")
