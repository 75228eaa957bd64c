"""Each torment, with few rounds; with `-m torture` in full, as `make torture` does it."""

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.torture.report import Torment

SEED = 1
NAMES = (
    "door-kill",
    "power-cut",
    "refused-sync-cut",
    "lying-disk",
    "power-cut-ext4",
    "failing-sync",
    "full-disk",
    "stuck-loop",
    "server-kill",
    "broker-kill",
    "server-full-disk",
    "server-failing-sync",
    "server-refused-cut",
    "server-locked",
    "postgres-stop",
    "half-dead",
    "server-bad-line",
    "clock-jump",
    "server-clock",
    "bad-wire",
    "busy-minutes",
    "certificates",
    "simulated-weeks",
    "simulated-year",
)


def find(name: str) -> "Torment":
    from tests.torture.catalogue import find  # noqa: PLC0415 (conftest makes it importable)

    (torment,) = find([name])
    return torment


def expect_well(name: str, folder: Path, *, is_full: bool) -> None:
    from tests.torture.report import Run, as_text, carry_out  # noqa: PLC0415 (likewise)

    torment = find(name)
    if reason := torment.missing():
        pytest.skip(reason)
    count = torment.full if is_full else torment.few
    told = carry_out(torment, Run(count=count, seed=SEED, folder=folder))
    assert told.is_well, as_text(told)


def test_a_door_killed_24_times_loses_nothing_and_is_locked_each_time(tmp_path: Path) -> None:
    expect_well("door-kill", tmp_path, is_full=False)


def test_after_60_power_cuts_every_durable_record_is_there(tmp_path: Path) -> None:
    expect_well("power-cut", tmp_path, is_full=False)


def test_what_is_durable_after_a_refused_sync_is_there_after_60_power_cuts(tmp_path: Path) -> None:
    expect_well("refused-sync-cut", tmp_path, is_full=False)


def test_after_60_cuts_of_a_disk_that_lies_or_rots_work_goes_on(tmp_path: Path) -> None:
    expect_well("lying-disk", tmp_path, is_full=False)


def test_after_10_power_cuts_of_a_real_ext4_every_durable_record_is_there(tmp_path: Path) -> None:
    expect_well("power-cut-ext4", tmp_path, is_full=False)


def test_when_a_sync_fails_nobody_is_let_in_on_a_record_that_is_not_saved(tmp_path: Path) -> None:
    expect_well("failing-sync", tmp_path, is_full=False)


def test_on_a_full_disk_all_get_out_and_guardians_come_in(tmp_path: Path) -> None:
    expect_well("full-disk", tmp_path, is_full=False)


def test_a_stuck_loop_is_noticed_ended_made_safe_and_started_again(tmp_path: Path) -> None:
    expect_well("stuck-loop", tmp_path, is_full=False)


def test_a_server_killed_20_times_has_all_that_it_acknowledged_and_answered(
    tmp_path: Path,
) -> None:
    expect_well("server-kill", tmp_path, is_full=False)


def test_nothing_is_lost_by_a_broker_that_is_killed_or_forgets_its_sessions(tmp_path: Path) -> None:
    expect_well("broker-kill", tmp_path, is_full=False)


def test_a_server_on_a_full_disk_acknowledges_nothing_and_goes_on_with_room(
    tmp_path: Path,
) -> None:
    expect_well("server-full-disk", tmp_path, is_full=False)


def test_a_server_whose_sync_fails_acknowledges_nothing_that_is_not_saved(tmp_path: Path) -> None:
    expect_well("server-failing-sync", tmp_path, is_full=False)


def test_what_the_ledger_took_in_after_a_refused_sync_is_there_after_20_power_cuts(
    tmp_path: Path,
) -> None:
    expect_well("server-refused-cut", tmp_path, is_full=False)


def test_while_the_database_is_locked_doors_decide_by_themselves(tmp_path: Path) -> None:
    expect_well("server-locked", tmp_path, is_full=False)


def test_when_postgresql_stops_in_mid_commit_the_ledger_has_everything_once(
    tmp_path: Path,
) -> None:
    expect_well("postgres-stop", tmp_path, is_full=False)


def test_a_door_whose_server_or_line_is_half_dead_decides_and_uses_no_late_grant(
    tmp_path: Path,
) -> None:
    expect_well("half-dead", tmp_path, is_full=False)


def test_a_server_whose_clock_jumps_takes_in_all_and_admits_by_no_watch_that_is_over(
    tmp_path: Path,
) -> None:
    expect_well("server-clock", tmp_path, is_full=False)


def test_over_a_wire_that_flaps_loses_or_is_narrow_all_are_answered_and_no_edge_moves_the_lock(
    tmp_path: Path,
) -> None:
    expect_well("bad-wire", tmp_path, is_full=False)


def test_over_a_bad_line_between_server_and_broker_nothing_is_lost_or_doubled(
    tmp_path: Path,
) -> None:
    expect_well("server-bad-line", tmp_path, is_full=False)


def test_a_door_on_its_own_whose_clock_jumps_takes_any_time_as_after_hours(
    tmp_path: Path,
) -> None:
    expect_well("clock-jump", tmp_path, is_full=False)


def test_a_place_that_is_very_busy_keeps_its_count_and_its_files_small(tmp_path: Path) -> None:
    expect_well("busy-minutes", tmp_path, is_full=False)


def test_a_door_whose_certificate_is_revoked_decides_by_itself_and_says_why(
    tmp_path: Path,
) -> None:
    expect_well("certificates", tmp_path, is_full=False)


def test_in_4_simulated_weeks_no_invariant_is_broken(tmp_path: Path) -> None:
    expect_well("simulated-weeks", tmp_path, is_full=False)


def test_in_10_simulated_days_of_a_year_nothing_grows(tmp_path: Path) -> None:
    expect_well("simulated-year", tmp_path, is_full=False)


@pytest.mark.torture
@pytest.mark.parametrize("name", NAMES)
def test_in_full(name: str, tmp_path: Path) -> None:
    expect_well(name, tmp_path, is_full=True)


def test_no_torment_is_left_out_here() -> None:
    from tests.torture.catalogue import TORMENTS  # noqa: PLC0415 (likewise)

    assert tuple(torment.name for torment in TORMENTS) == NAMES
