"""What `gardien doctor` sees of certificates, backups, the broker's settings and the ledger."""

import datetime as dt
import json
import os
import shutil
import sqlite3
from pathlib import Path

import pytest

from gardien.certificates import signed
from gardien.checkup_backups import judge as judge_backup
from gardien.checkup_broker_file import judge_options, read_options
from gardien.checkup_certificates import judge as judge_certificate
from gardien.findings import Grade
from server import forgetting_ledger
from server.installation import open_installation
from tests.gardien.conftest import CommandLine as House
from tests.gardien.conftest import open_watch

NOW = dt.datetime(2026, 11, 24, 18, 10, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)
FIRMWARE = Path(__file__).parents[2] / "firmware_config"


def found(house: House, *options: str) -> dict[str, list[str]]:
    by_grade: dict[str, list[str]] = {"good": [], "mind": [], "bad": []}
    language = options or ("--language", "en")
    for one in json.loads(house("doctor", "--json", *language).out):
        by_grade[one["grade"]].append(one["text"])
    return by_grade


def about(texts: list[str], word: str) -> list[str]:
    return [text for text in texts if text.startswith(word)]


@pytest.mark.parametrize(
    ("from_days", "to_days", "grade"),
    [
        (-10, 31, Grade.GOOD),
        (-10, 29, Grade.MIND),
        (-10, 0, Grade.BAD),
        (-10, -1, Grade.BAD),
        (1, 90, Grade.BAD),
    ],
)
def test_a_certificate_is_told_of_a_month_before_it_ends(
    from_days: int, to_days: int, grade: Grade
) -> None:
    told = judge_certificate("x.crt", NOW + from_days * DAY, NOW + to_days * DAY, NOW)
    assert told.grade is grade
    if grade is not Grade.GOOD:
        assert "make a new one" in told.en
        assert "un nouveau" in told.fr


def test_the_certificates_of_doors_in_the_folder_are_looked_at(
    house: House, authority: tuple[str, str]
) -> None:
    ca, key = map(Path, authority)
    folder = house.data / "doors" / "main" / "keys"
    folder.mkdir(parents=True, exist_ok=True)
    made = signed("malakoff.main", ca, key, now=dt.datetime.now(dt.UTC), days=12)
    assert made.certificate is not None
    (folder / "door.crt").write_bytes(made.certificate)
    [told] = about(found(house)["mind"], "certificates: ")
    assert "door.crt runs out in 11 days" in told
    (folder / "door.crt").write_text("no certificate")
    [told] = about(found(house)["bad"], "certificates: ")
    assert "is not a certificate in PEM" in told


@pytest.mark.parametrize(("days", "grade"), [(1, Grade.GOOD), (3, Grade.MIND), (4.5, Grade.BAD)])
def test_a_backup_grows_old(days: float, grade: Grade) -> None:
    assert judge_backup("x", days * DAY, 2 * DAY).grade is grade


def test_without_a_folder_the_last_backup_that_was_made_is_told_of(
    house: House, tmp_path: Path
) -> None:
    assert about(found(house)["mind"], "backups: none was ever made")
    words = tmp_path / "passphrase"
    words.write_text("four words do well here\n")
    house.done("backup", str(tmp_path / "one.backup"), "--passphrase-file", str(words))
    [told] = about(found(house)["good"], "backups: ")
    assert "one.backup, is 0.0 days old" in told
    house.done("backup", str(tmp_path / "two.backup"), "--passphrase-file", str(words))
    listed = house.done(
        "backup", "--list", str(tmp_path / "two.backup"), "--passphrase-file", str(words)
    )
    assert "last-backup" not in listed, "a restored house has not been backed up"


def test_where_backups_go_the_newest_and_those_kept_too_long_are_told_of(
    house: House, tmp_path: Path
) -> None:
    place = tmp_path / "usb"
    house.settings(lambda text: text + f'\n[backup]\nfolder = "{place}"\n')
    assert "can't be looked at" in about(found(house)["bad"], "backups: ")[0]
    place.mkdir()
    (place / "notes.txt").write_text("not a backup of gardien at all")
    assert "there is none in" in about(found(house)["bad"], "backups: ")[0]
    words = tmp_path / "passphrase"
    words.write_text("four words do well here\n")
    house.done("backup", str(place / "new.backup"), "--passphrase-file", str(words))
    assert about(found(house)["good"], "backups: ")
    shutil.copy(place / "new.backup", place / "old.backup")
    past = (dt.datetime.now(dt.UTC) - 91 * DAY).timestamp()
    os.utime(place / "old.backup", (past, past))
    [told] = about(found(house)["bad"], "backups: ")
    assert "1 are older than 90 days" in told
    assert "old.backup" in told
    (place / "new.backup").unlink()
    assert any("is 91.0 days old" in one for one in found(house)["bad"])


def test_the_shipped_settings_of_mosquitto_are_as_they_should_be(tmp_path: Path) -> None:
    path = FIRMWARE / "mosquitto" / "gardien.conf"
    options = read_options(path) | {"acl_file": str(FIRMWARE / "mosquitto" / "acl")}
    assert list(judge_options(options, path)) == []
    for change, grade, words in (
        ({"persistence": "false"}, Grade.MIND, "persistence true"),
        ({"autosave_interval": "1800"}, Grade.MIND, "every 1800 s"),
        ({"autosave_interval": "0"}, Grade.MIND, "0 is never"),
        ({"allow_anonymous": "true"}, Grade.BAD, "allow_anonymous"),
        ({"acl_file": str(tmp_path / "none")}, Grade.BAD, "No such file"),
    ):
        [told] = judge_options(options | change, path)
        assert (told.grade, words in told.en) == (grade, True), told
        assert told.fr != told.en
    on_changes = {"autosave_interval": "1800", "autosave_on_changes": "true"}
    assert list(judge_options(options | on_changes, path)) == []
    (tmp_path / "acl").write_text("# nothing\n\n")
    [told] = judge_options(options | {"acl_file": str(tmp_path / "acl")}, path)
    assert "is empty" in told.en
    without = {key: value for key, value in options.items() if key != "acl_file"}
    assert [told.grade for told in judge_options(without, path)] == [Grade.BAD]


def test_the_settings_of_a_broker_of_its_own_are_looked_at(house: House, tmp_path: Path) -> None:
    (tmp_path / "conf.d").mkdir()
    (tmp_path / "conf.d" / "gardien.conf").write_text("persistence false\nallow_anonymous true\n")
    file = tmp_path / "mosquitto.conf"
    file.write_text(f"# Debian's\npersistence true\ninclude_dir {tmp_path / 'conf.d'}\n")
    house.settings(
        lambda text: (
            text.replace("[broker]", f'[broker]\nconfig_file = "{file}"', 1).replace(
                'program = "auto"', 'program = "none"', 1
            )
            if "[broker]" in text
            else text + f'\n[broker]\nprogram = "none"\nconfig_file = "{file}"\n'
        )
    )
    told = found(house)
    assert any("persistence true" in one for one in told["mind"])
    assert any("allow_anonymous" in one for one in told["bad"])
    assert any("names no acl_file" in one for one in told["bad"])
    file.unlink()
    assert any("can't be read" in one for one in about(found(house)["mind"], "broker: "))


def test_a_record_that_was_changed_in_the_database_is_seen(house: House) -> None:
    open_watch(house)
    assert about(found(house)["good"], "database: whole, and so are the last records of 1 chains")
    with sqlite3.connect(house.data / "gardien.db") as connection:
        rows = connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'")
        for (name,) in rows.fetchall():
            connection.execute(f"DROP TRIGGER {name}")  # as somebody with the file could
        connection.execute(
            """UPDATE ledger SET body = replace(body, '"data":{', '"data":{"x":1,')"""
        )
    [told] = about(found(house)["bad"], "database: the last records of malakoff/server")
    assert "gardien verify" in told


def test_a_database_with_a_broken_page_is_seen(house: House) -> None:
    file = house.data / "gardien.db"
    with sqlite3.connect(file) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        root, size = (
            connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'badge'"),
            connection.execute("PRAGMA page_size"),
        )
        page, bytes_ = root.fetchone()[0], size.fetchone()[0]
    content = bytearray(file.read_bytes())
    content[(page - 1) * bytes_ + 8 : page * bytes_ - 200] = b"\xa5" * (bytes_ - 208)
    file.write_bytes(content)
    assert about(found(house)["bad"], "database: ")


def test_a_house_that_does_not_forget_is_told_of(house: House) -> None:
    assert about(found(house)["good"], "forgetting: not yet")

    def mark(age: dt.timedelta) -> None:
        with open_installation(house.data) as installation:
            until = installation.clock.now() - age
            with installation.database.writing() as connection:
                done = forgetting_ledger.Mark(until=until, last_id=0)
                forgetting_ledger.set_mark(connection, "", "run", done)

    mark(DAY)
    assert about(found(house)["good"], "forgetting: last done")
    mark(3 * DAY)
    [told] = about(found(house)["bad"], "forgetting: not done for 3.0 days")
    assert "gardien forget" in told


def test_the_doctor_speaks_french_by_the_settings_and_english_when_asked(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    french, english = house("doctor").out, house("doctor", "--language", "en").out
    assert "comptes : personne de l'équipe" in french
    assert "accounts: nobody of the staff" in english
    assert french.count("\n") == english.count("\n")
    assert not set(french.splitlines()) & set(english.splitlines())
    monkeypatch.setenv("LANG", "en_GB.UTF-8")
    assert "accounts: " in house("doctor").out
