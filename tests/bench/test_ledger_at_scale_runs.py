"""The measurement of the ledger runs, on a ledger that the server could have made."""

import json
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

PROGRAM = Path(__file__).with_name("ledger_at_scale.py")


def run(*options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(PROGRAM), *options]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


def test_ledger_at_scale_measures_all_and_says_whether_it_is_met(tmp_path: Path) -> None:
    told = tmp_path / "told.json"
    few = ("--small", "500", "--records", "3000", "--members", "40", "--rounds", "3")
    done = run(*few, "--looks", "4", "--follow", "300", "--decisions", "5", "--json", str(told))
    assert told.exists(), done.stderr
    result = json.loads(told.read_text())
    assert done.returncode == (0 if result["is_met"] else 1), done.stderr
    assert result["times_small"] > 0
    assert {page["name"] for page in result["pages"]} >= {"a member's page", "the live board"}
    assert all(one["per_s"] > 0 for one in result["followers"])
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
