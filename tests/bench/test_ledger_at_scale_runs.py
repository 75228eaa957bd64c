"""The measurement of the ledger runs, on a ledger that the server could have made."""

import subprocess
import sys
from pathlib import Path

import pytest

if (ROOT := str(Path(__file__).parents[2])) not in sys.path:
    sys.path.append(ROOT)

from server import ledger
from server.verify import verify_site
from tests.bench.ledger_place import DOORS, SITE, Place, browser, found, open_place
from tests.bench.ledger_reporting import Reporting
from tests.bench.shape import from_json

PROGRAM = Path(__file__).with_name("ledger_at_scale.py")


def test_ledger_at_scale_measures_all_and_says_whether_it_is_met(tmp_path: Path) -> None:
    file = tmp_path / "found.json"
    command = [sys.executable, str(PROGRAM), "--quick", "--json", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert file.exists(), done.stderr
    findings = from_json(file.read_bytes())
    assert done.returncode == (0 if findings.is_kept else 1), done.stderr
    intake, pages, followers = findings.found.curves
    assert all(x > 0 and y > 0 for line in intake.lines for x, y in line.points)
    assert {line.name for line in pages.lines} >= {"a member's page", "the live board"}
    assert all(y > 0 for line in followers.lines for _, y in line.points)
    assert "records/s committed" in done.stdout


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scale") / "place"
    found(folder, records=2_000, members=30)
    return folder


def test_the_server_goes_on_from_a_ledger_that_was_filled(folder: Path) -> None:
    with open_place(folder) as place:
        before = length(place)
        reporting = Reporting(place=place, site=SITE, doors=DOORS, members=30, each=20)
        assert reporting.take_in() > 0
        with place.database.reading() as connection:
            assert all(report.is_whole for report in verify_site(connection, SITE))
        assert length(place) > before + 80


def test_a_filled_ledger_has_something_to_show(folder: Path) -> None:
    with open_place(folder) as place, browser(place) as client:
        assert "Membre 0" in client.get("/me").text
        assert client.get("/").text.count("Porte main") > 1


def length(place: Place) -> int:
    with place.database.reading() as connection:
        return ledger.last_id(connection)
