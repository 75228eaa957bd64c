"""Members and their badges, from the command line into the registry and out of it."""

import json
import re
from pathlib import Path

import pytest

from tests.gardien.conftest import UIDS, CommandLine


def members(house: CommandLine, *options: str) -> dict[str, dict[str, object]]:
    return {one["id"]: one for one in json.loads(house.done("member", "list", "--json", *options))}


def test_a_member_gets_an_id_that_says_nothing(empty: CommandLine) -> None:
    done = empty("member", "add", "Zoé d'Arc", "--plan", "resident")
    assert re.fullmatch(r"m-[b-z2-9]{8}\n", done.out)
    assert done.err == ""
    added = members(empty)[done.out.strip()]
    assert (added["name"], added["plan"], added["sites"]) == ("Zoé d'Arc", "resident", ["malakoff"])
    assert added["language"] == "fr"


def test_an_id_that_tells_the_name_is_taken_and_said_to_be_one(empty: CommandLine) -> None:
    done = empty("member", "add", "Zoé d'Arc", "--id", "zoe-7")
    assert (done.status, done.out) == (0, "zoe-7\n")
    assert "the id zoe-7 tells the name" in done.err
    assert empty("member", "add", "李明", "--id", "n-12").err == ""


def test_members_are_listed_by_plan_and_status(house: CommandLine) -> None:
    assert set(members(house, "--plan", "staff")) == {"sonia"}
    assert set(members(house, "--status", "suspended")) == {"sami"}
    table = house.done("member", "list", "--site", "malakoff")
    assert "Gaëlle Morel" in table
    assert len(table.strip().splitlines()) == 2 + 7


def test_an_empty_list_says_what_to_do(empty: CommandLine) -> None:
    assert empty.done("member", "list") == "no members; add one with `gardien member add`\n"
    assert empty.done("badge", "list") == "no badges; give one with `gardien badge assign`\n"


def test_an_import_with_bad_lines_names_each_and_imports_nobody(
    empty: CommandLine, tmp_path: Path
) -> None:
    file = tmp_path / "members.csv"
    file.write_text("id,name,plan\nanna,Anna,nomad\nBAD ID,Bea,nomad\ncarl,Carl,king\n")
    done = empty("member", "import", str(file))
    assert done.status == 1
    lines = done.err.splitlines()
    assert [line.partition("line ")[2].partition(":")[0] for line in lines[:-1]] == ["3", "4"]
    assert lines[-1] == "gardien: nothing was imported; correct 2 bad lines and try again"
    assert members(empty) == {}


def test_an_import_that_takes_anothers_address_imports_nobody(
    house: CommandLine, tmp_path: Path
) -> None:
    file = tmp_path / "members.csv"
    file.write_text("id,name,email\nanna,Anna,anna@example.org\nbob,Bob,nora@example.org\n")
    done = house("member", "import", str(file))
    assert done.status == 1
    assert "line 3" in done.err
    assert "anna" not in members(house)


def test_an_import_adds_and_writes_anew(house: CommandLine, tmp_path: Path) -> None:
    file = tmp_path / "members.csv"
    file.write_text("id;name;plan\nnora;Nora Blanc-Roy;resident\nanna;Anna;nomad\n", "utf-8-sig")
    assert "nothing wrong" in house.done("member", "import", "--check", str(file))
    assert "anna" not in members(house)
    assert house.done("member", "import", str(file)) == "1 added, 1 written anew\n"
    assert members(house)["nora"]["name"] == "Nora Blanc-Roy"


def test_a_file_in_another_encoding_is_said_to_be_one(empty: CommandLine, tmp_path: Path) -> None:
    file = tmp_path / "members.csv"
    file.write_bytes("id,name\nzoe,Zoé\n".encode("latin-1"))
    done = empty("member", "import", str(file))
    assert done.status == 1
    assert "UTF-8" in done.err


def test_a_suspended_member_is_refused_until_it_is_lifted(house: CommandLine) -> None:
    at_noon = ("explain", "--door", "main", "--badge", UIDS["nora"], "--at", "2026-11-24 12:00")
    assert house(*at_noon).status == 0
    assert house.done("member", "suspend", "nora@example.org") == "nora is suspended\n"
    assert house(*at_noon).status == 1
    house.done("member", "suspend", "--lift", "nora")
    assert house(*at_noon).status == 0
    assert house.done("member", "suspend", "--end", "nora") == "nora is ended\n"


def test_a_change_leaves_what_is_not_named(house: CommandLine) -> None:
    house.done("member", "change", "nora", "--guardian", "--until", "2026-12-31")
    changed = members(house)["nora"]
    assert changed["is_guardian"] is True
    assert changed["email"] == "nora@example.org"
    assert changed["validity"] == {"since": None, "until": "2026-12-30T23:00:00Z"}
    house.done("member", "change", "nora", "--email", "")
    assert members(house)["nora"]["email"] is None


def test_all_that_is_held_on_a_member_is_exported(house: CommandLine, tmp_path: Path) -> None:
    house.done("guardian", "authorize", "gaelle", "--weekly", "wed 18:30-22:00")
    held = json.loads(house.done("member", "export", "gaelle"))
    assert held["name"] == "Gaëlle Morel"
    assert len(held["badges"][0]["digest"]) == 32
    assert held["authorizations"][0]["guardian"] == "gaelle"
    assert held["logins"] == []
    assert held["looked"] == []
    assert {"records", "hours", "passages", "minutes"} <= set(held)
    out = tmp_path / "gaelle.json"
    house.done("member", "export", "gaelle", "--out", str(out))
    again = json.loads(out.read_bytes())
    # The first export is itself a look at what is held.
    assert [one["what"] for one in again.pop("looks")] == ["export", "export"]
    assert [one["what"] for one in held.pop("looks")] == ["export"]
    assert again == held
    assert out.stat().st_mode & 0o777 == 0o600
    assert house("member", "export", "gaelle", "--out", str(out)).status == 1


def test_an_erased_member_leaves_nothing_but_an_id(house: CommandLine) -> None:
    house.done("guardian", "authorize", "gaelle", "--weekly", "wed 18:30-22:00")
    password = house.data.parent / "password"
    password.write_text("four words do well\n")
    house.done("member", "password", "gaelle", "--password-file", str(password))
    held = json.loads(house.done("member", "export", "gaelle"))
    (login,) = held["logins"]
    assert (login["email"], login["sessions"]) == ("gaelle@example.org", [])
    told = house.done("member", "erase", "--yes", "gaelle")
    assert told.startswith("gaelle is erased: the member, 1 badges, 1 authorizations, 1 log-ins")
    assert told.count("kept: ") == 3
    assert "gaelle" not in members(house)
    assert house("member", "export", "gaelle").status == 1
    assert "gaelle" not in house.done("badge", "list", "--json")
    assert "gaelle" not in house.done("guardian", "list", "--all", "--json")
    explained = house("explain", "--door", "main", "--badge", UIDS["gaelle"], "--json")
    assert json.loads(explained.out)["reason"] == "unknown_badge"


@pytest.mark.parametrize("uid", ["04:a1:b2:c3", "04a1b2c3", "04-A1-B2-C3"])
def test_a_uid_may_be_written_with_or_without_colons(house: CommandLine, uid: str) -> None:
    house.done("badge", "assign", "nora", "--uid", uid, "--label", "blue 12")
    args = ("explain", "--door", "main", "--badge", "04A1B2C3", "--at", "2026-11-24 12:00")
    assert house(*args).status == 0


def test_a_uid_may_come_from_standard_input_and_is_kept_nowhere(house: CommandLine) -> None:
    told = house.done("badge", "assign", "nora", "--uid", "-", typed="04:a1:b2:c3\n")
    assert "04a1b2c3" not in told
    for path in house.data.rglob("*"):
        if path.is_file():
            content = path.read_bytes().lower()
            assert b"04a1b2c3" not in content
            assert b"04:a1:b2:c3" not in content
            assert bytes.fromhex("04a1b2c3") not in content
    args = ("explain", "--door", "main", "--badge", "-", "--at", "2026-11-24 12:00")
    assert house(*args, typed="04a1b2c3").status == 0


def test_a_lost_badge_can_be_found_again(house: CommandLine) -> None:
    house.done("badge", "assign", "nora", "--uid", "04a1b2c3", "--label", "blue 12")
    told = house.done("badge", "lost", "--member", "nora", "--label", "blue 12")
    assert told.endswith("of nora is lost\n")
    digits = told.split()[1]
    badges = json.loads(house.done("badge", "list", "nora", "--json"))
    assert sorted(one["status"] for one in badges) == ["active", "lost"]
    assert house.done("badge", "lost", "--found", digits) == f"badge {digits} of nora is active\n"
    house.done("badge", "lost", "--uid", "04:a1:b2:c3")
    assert len(house.done("badge", "lost", "--member", "nora").splitlines()) == 1


def test_an_authorization_is_local_time_and_can_be_revoked(house: CommandLine) -> None:
    told = house.done(
        "guardian", "authorize", "gaelle", "--from", "2026-12-01 19:30", "--to", "22:00"
    )
    id_ = told.partition(":")[0]
    one = json.loads(house.done("guardian", "list", "--json"))[0]
    assert one["span"] == {"start": "2026-12-01T18:30:00Z", "end": "2026-12-01T21:00:00Z"}
    house.done("guardian", "revoke", id_)
    assert house.done("guardian", "list").startswith("no authorizations")
    assert id_ in house.done("guardian", "list", "--all")


def test_a_weekly_authorization_holds_each_week_at_the_same_local_time(house: CommandLine) -> None:
    told = house.done(
        "guardian", "authorize", "ines", "--weekly", "Tue 18:30-22:00", "--from", "2026-12-01"
    )
    assert "tue 18:30-22:00 each week, since 2026-12-01" in told
    explain = ("explain", "--door", "main", "--badge", UIDS["ines"], "--json", "--at")
    reasons = [
        json.loads(house(*explain, when).out)["reason"]
        for when in ("2026-11-24 18:45", "2026-12-01 18:45", "2027-07-06 18:45", "2027-07-07 18:45")
    ]
    assert reasons == [
        "guardian_not_authorized",
        "watch_opened",
        "watch_opened",
        "guardian_not_authorized",
    ]


def test_a_log_in_is_made_with_a_password_from_a_file(house: CommandLine, tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("four words do well here\n")
    args = ("member", "password", "sonia", "--password-file", str(file))
    assert house.done(*args) == "sonia logs in as sonia@example.org\n"
    file.write_text("short\n")
    done = house(*args)
    assert done.status == 1
    assert "short" not in done.err
    assert house("member", "password", "sonia").status == 2


def test_an_export_is_noted_as_a_look_with_its_reason(house: CommandLine) -> None:
    house.done("member", "export", "nora")
    house.done("member", "export", "nora", "--reason", "letter of 3 March")
    found = json.loads(house.done("member", "looks", "nora", "--json"))
    assert [(one["role"], one["what"], one["about"], one["reason"]) for one in found] == [
        ("operator", "export", "nora", "letter of 3 March"),
        ("operator", "export", "nora", "asked"),
    ]
    assert json.loads(house.done("member", "looks", "rene", "--json")) == []
    assert "nobody has looked" in house.done("member", "looks", "rene")
    held = json.loads(house.done("member", "export", "nora"))
    assert [one["reason"] for one in held["looks"]] == [
        "asked",
        "letter of 3 March",
        "asked",
    ]
    told = house.done("member", "looks")
    assert "Nora" not in told
    assert "nora@example.org" not in told


def test_an_import_warns_of_ids_that_look_like_names_and_goes_on(
    house: CommandLine, tmp_path: Path
) -> None:
    file = tmp_path / "members.csv"
    lines = ["id,name,email", "m-k7x2qv9d,Ada Martin,", "4711,Bo Li,bo@example.org"]
    file.write_text("\n".join(lines))
    assert house("member", "import", str(file)).err == ""
    telling = ["adele,Adèle Roux,", "x-durand,Luc D,luc.durand@example.org"]
    file.write_text("\n".join([*lines, *telling]))
    for words, told in ((["--check"], "4 members"), ([], "2 added, 2 written anew")):
        done = house("member", "import", *words, str(file))
        assert done.status == 0
        assert "look like names: adele (line 4), x-durand (line 5); ids are kept" in done.err
        assert told in done.out
    file.write_text("id,name\n" + "\n".join(f"anna-{n},Anna Roy" for n in range(9)))
    done = house("member", "import", str(file))
    assert "anna-4 (line 6) and 4 more" in done.err
    assert {"adele", "x-durand", "anna-8"} <= members(house).keys()


def test_events_that_name_a_member_are_among_what_is_held(house: CommandLine) -> None:
    def titles(who: str) -> list[str]:
        return [one["title"] for one in json.loads(house.done("member", "export", who))["events"]]

    assert titles("gaelle") == ["Tuesday talk", "Workshop"]
    assert titles("nora") == ["Workshop"]
    assert titles("rene") == []
