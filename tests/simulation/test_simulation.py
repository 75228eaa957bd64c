"""Simulated evenings with faults: the invariants hold, whatever the seed."""

import pytest

from simulation.evening import Plan, simulate
from simulation.faults import Fault
from simulation.many import Tally
from simulation.story import failure

ALWAYS = 40
"""So many seeds are enough for each fault to have happened at least once."""

SOMETIMES = (
    "badge_did_not_free",
    "boot_1970",
    "boot_lags",
    "broker_forgets",
    "broker_restart",
    "card_pulled",
    "card_torn",
    "clock_jump",
    "closed_at_desk",
    "command_hold",
    "command_lift",
    "command_lockdown",
    "command_release",
    "command_unlock",
    "copied_badge_suspended",
    "copied_uid",
    "copied_whole",
    "copy_got_in",
    "copy_refused",
    "copy_refused_alone",
    "cut",
    "came_in_by_fire",
    "disk_refuses",
    "dropped",
    "evacuated",
    "fire",
    "fire_told",
    "forced",
    "found_badge",
    "garbage",
    "got_ahead_of_the_other",
    "guardian_absent",
    "guardian_forgot",
    "handed_over",
    "impatient",
    "late_will",
    "ledger_refused",
    "lost_in_cut",
    "lost_in_flight",
    "planted_command",
    "power_cut",
    "power_cut_in_write",
    "propped",
    "reader_failed",
    "reordered",
    "repeated",
    "resent",
    "reset",
    "server_died_in_commit",
    "server_killed",
    "server_stall",
    "slow",
    "staff_hours",
    "staff_revoke",
    "staff_suspend",
    "staff_withdraw",
    "stall",
    "tailgated",
    "takeover",
    "tried_to_hold",
    "turned_away",
    "unknown_badge",
)
"""What happens sometimes, and must have happened: a fault that never strikes proves nothing."""

SEEN = (
    "watch.opened",
    "watch.closed",
    "watch.lapsed",
    "watch.passed",
    "granted alone",
    "granted by the server",
    "credited",
    "passage.started",
)
"""What the site must have lived through in some seed: the invariants must be about something."""


def test_no_invariant_is_broken_in_any_simulation(
    tally: Tally, hours: float, capsys: pytest.CaptureFixture[str]
) -> None:
    with capsys.disabled():
        print(f"\n{tally.number} seeds of {hours:g} h, {tally.steps} steps")  # noqa: T201
    assert not tally.failed, "\n\n".join(failure(one) for one in tally.failed[:3])


def skip_if_few(tally: Tally) -> None:
    if tally.number < ALWAYS:
        pytest.skip(f"too few seeds: {tally.number} of {ALWAYS}")


def test_every_kind_of_fault_is_in_some_seed(tally: Tally) -> None:
    skip_if_few(tally)
    assert {fault.value for fault in Fault} <= tally.had.keys()


@pytest.mark.parametrize("what", SOMETIMES)
def test_what_happens_sometimes_has_happened(tally: Tally, what: str) -> None:
    skip_if_few(tally)
    assert tally.counts[what]


@pytest.mark.parametrize("what", SEEN)
def test_the_site_has_lived_through(tally: Tally, what: str) -> None:
    skip_if_few(tally)
    assert tally.counts[what]


@pytest.mark.parametrize("seed", [1, 2, 5])
def test_the_same_seed_gives_the_same_trace_to_the_byte(seed: int) -> None:
    once, again = simulate(Plan(seed=seed)), simulate(Plan(seed=seed))
    assert once.digest == again.digest
    assert once.steps == again.steps


def test_another_seed_gives_another_evening() -> None:
    assert simulate(Plan(seed=1)).digest != simulate(Plan(seed=2)).digest


def test_a_door_that_knows_its_clock_is_slow_knows_it_after_a_power_cut_as_well() -> None:
    result = simulate(Plan(seed=1082, hours=10.0))
    assert result.violation is None, failure(result)
