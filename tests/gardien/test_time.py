"""The time bank from the command line."""

import csv
import json
from pathlib import Path

import pytest

from access.ids import MemberId, SiteId, WatchId
from server import ledger
from server.installation import open_installation
from tests.gardien.conftest import TUESDAY_1910, CommandLine


@pytest.fixture
def bank(house: CommandLine) -> CommandLine:
    """A house whose guardian has earned an hour and a half this month."""
    with (
        open_installation(house.data) as installation,
        installation.database.writing() as connection,
    ):
        ledger.credit(
            connection,
            site=SiteId("malakoff"),
            member=MemberId("gaelle"),
            minutes=90,
            watch=WatchId("w"),
            at=TUESDAY_1910,
        )
    return house


def test_an_empty_bank_says_what_fills_it(house: CommandLine) -> None:
    assert "une garde la remplit" in house.done("time", "balance")
    assert "rien ce mois-ci" in house.done("time", "statement")


def test_balances_are_told_in_minutes_and_hours(bank: CommandLine) -> None:
    assert "1 h 30" in bank.done("time", "balance")
    assert json.loads(bank.done("time", "balance", "gaelle@example.org", "--json")) == {
        "gaelle": 90
    }


def test_minutes_are_spent_corrected_and_told_in_a_statement(bank: CommandLine) -> None:
    said = bank.done("time", "spend", "gaelle", "--minutes", "60", "--language", "en")
    assert said == "gaelle: -60 min, balance 0 h 30\n"
    bank.done("time", "correct", "gaelle", "--minutes", "-45", "--reason", "Parti avant la fin")
    text = bank.done("time", "statement", "gaelle", "--month", "2026-11")
    assert "gaelle, 2026-11 : 0 h 00 au début, -0 h 15 à la fin" in text
    assert "Parti avant la fin" in text
    told = json.loads(bank.done("time", "statement", "--json"))
    assert [line["minutes"] for line in told[0]["lines"]] == [90, -60, -45]
    assert [line["by"] for line in told[0]["lines"]] == [None, "operator", "operator"]


def test_a_statement_is_written_as_csv(bank: CommandLine, tmp_path: Path) -> None:
    file = tmp_path / "november.csv"
    bank.done("time", "statement", "--csv", str(file))
    rows = list(csv.DictReader(file.read_text(encoding="utf-8").splitlines()))
    assert [(row["member"], row["minutes"]) for row in rows] == [("gaelle", "90")]
    assert bank.done("time", "statement", "--csv", "-").startswith("member,month,at,")


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (("spend", "gaelle", "--minutes", "91"), "spend less"),
        (("spend", "gaelle", "--minutes", "9", "--month", "2026-12"), "still to come"),
        (("spend", "gaelle", "--minutes", "9", "--month", "november"), "write one such as 2026-11"),
        (("spend", "gaelle", "--minutes", "9", "--by", "nora"), "only staff"),
        (("spend", "rene", "--minutes", "9"), "no nomad"),
        (("correct", "gaelle", "--minutes", "9", "--reason", ""), "say why"),
        (("correct", "nobody", "--minutes", "9", "--reason", "x"), "gardien member list"),
        (("balance", "nobody"), "gardien member list"),
        (("statement", "gaelle", "--csv", "/nowhere/x.csv"), "name another file"),
    ],
)
def test_what_the_bank_refuses_is_one_line_that_says_what_to_do(
    bank: CommandLine, args: tuple[str, ...], says: str
) -> None:
    done = bank("time", *args)
    assert done.status == 1
    assert says in done.err
    assert len(done.err.splitlines()) == 1


@pytest.fixture
def counting(bank: CommandLine) -> CommandLine:
    """The same house, whose nomads have no hour without paying."""
    file = bank.data / "gardien.toml"
    text = file.read_text(encoding="utf-8")
    file.write_text(
        text.replace("[[site.door]]", "[site.plans.nomad]\nhours_a_month = 0\n[[site.door]]", 1),
        encoding="utf-8",
    )
    return bank


def test_presence_is_told_and_caps_what_is_spent(counting: CommandLine) -> None:
    said = counting.done("time", "presence", "gaelle", "--month", "2026-11", "--language", "en")
    assert "0 h 00 present, 0 h 00 included in the plan, 0 h 00 over" in said
    told = json.loads(counting.done("time", "presence", "gaelle", "--json"))
    assert (told["included"], told["spendable"], told["balance"]) == (0, 0, 90)
    done = counting("time", "spend", "gaelle", "--minutes", "5")
    assert done.status == 1
    assert "spend at most 0" in done.err


def test_a_site_that_counts_no_presence_says_so(bank: CommandLine) -> None:
    assert "hours_a_month" in bank.done("time", "presence", "gaelle")
    assert json.loads(bank.done("time", "presence", "gaelle", "--json"))["present"] is None
    assert "no nomad" in bank("time", "presence", "rene").err


def test_the_same_request_spends_once(bank: CommandLine) -> None:
    for _ in range(2):
        bank.done("time", "spend", "gaelle", "--minutes", "90", "--key", "invoice-7")
    assert json.loads(bank.done("time", "balance", "gaelle", "--json")) == {"gaelle": 0}
    assert bank("time", "spend", "gaelle", "--minutes", "1", "--overdraw", "--by", "nora").status
    bank.done("time", "spend", "gaelle", "--minutes", "1", "--overdraw", "--by", "sonia")
