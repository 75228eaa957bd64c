"""The repository keeps its promises: lists are complete, and nothing of one machine is in it."""

import re
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

HOUSE = Path(__file__).resolve().parent.parent
ROW_OF_DEPENDENCY = re.compile(r"^\| `([A-Za-z0-9._-]+)` ", re.MULTILINE)
HOME_FOLDER = re.compile(r"(?<![\w.$}])/(?:home|Users)/[a-z]\w*|(?<![\w.])/root/\w")
REGISTRY_HOSTS = tuple(
    ".".join(labels)
    for labels in (
        ("pypi", "org"),
        ("pythonhosted", "org"),
        ("piwheels", "org"),
        ("npmjs", "org"),
        ("npmjs", "com"),
        ("deb", "debian", "org"),
        ("proxy", "golang", "org"),
    )
)


def read(path: str) -> str:
    return (HOUSE / path).read_text(encoding="utf-8")


def texts() -> Iterator[tuple[str, str]]:
    """Yield name and text of each file that is, or would be, in the repository."""
    listing = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=HOUSE,
        capture_output=True,
        check=False,
    )
    if listing.returncode != 0:
        pytest.skip("this is not a git working copy, so nobody can say which files are tracked")
    for name in filter(None, listing.stdout.decode().split("\0")):
        path = HOUSE / name
        if path.is_file() and not path.is_symlink():
            content = path.read_bytes()
            if b"\0" not in content:
                yield name, content.decode("utf-8", errors="replace")


def declared_dependencies() -> set[str]:
    project = tomllib.loads(read("pyproject.toml"))["project"]
    requirements = list(project["dependencies"])
    for extra in project["optional-dependencies"].values():
        requirements += extra
    return {re.split(r"[\[<>=!~ ;]", requirement, maxsplit=1)[0] for requirement in requirements}


def locked(lock: str) -> dict[str, set[str]]:
    versions: dict[str, set[str]] = {}
    for name, version in re.findall(r"^([a-z0-9.-]+)==([^ ;\\]+)", read(lock), re.MULTILINE):
        versions.setdefault(name, set()).add(version)
    return versions


def decisions() -> list[Path]:
    return sorted((HOUSE / "docs" / "decisions").glob("[0-9]*.md"))


def test_every_dependency_is_explained_and_every_explained_one_is_a_dependency() -> None:
    installed_on_its_own = {"mfrc522", "setuptools"}
    page = read("docs/dependencies.md")
    tables = page[page.index("## To run") : page.index("## Programs of the system")]
    explained = ROW_OF_DEPENDENCY.findall(tables)
    assert len(explained) == len(set(explained))
    assert set(explained) == declared_dependencies() | installed_on_its_own


def test_every_dependency_that_runs_is_locked() -> None:
    project = tomllib.loads(read("pyproject.toml"))["project"]
    names = {re.split(r"[\[<>=!~ ;]", line, maxsplit=1)[0] for line in project["dependencies"]}
    assert names <= locked("requirements.lock").keys()
    assert "mfrc522" in locked("requirements-mfrc522.lock")
    assert "setuptools" in locked("requirements-build.lock")


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-build.lock"])
def test_one_environment_can_hold_every_lock(lock: str) -> None:
    everything = locked("requirements-dev.lock")
    for name, versions in locked(lock).items():
        assert versions <= everything.get(name, versions), name


def test_neither_rpi_gpio_nor_a_second_mfrc522_is_ever_installed() -> None:
    for lock in HOUSE.glob("requirements*.lock"):
        assert not {"rpi-gpio", "mfrc522-python"} & locked(lock.name).keys()


def test_no_file_names_a_package_registry() -> None:
    found = [(name, host) for name, text in texts() for host in REGISTRY_HOSTS if host in text]
    assert found == []


def test_no_file_names_a_home_folder() -> None:
    found = [(name, path) for name, text in texts() for path in HOME_FOLDER.findall(text)]
    assert found == []


def test_the_changelog_has_a_place_for_what_is_not_released() -> None:
    assert "\n## [Unreleased]\n" in read("CHANGELOG.md")


def test_every_decision_is_listed_once() -> None:
    listed = re.findall(r"\]\((\d{4}-[a-z0-9-]+\.md)\)", read("docs/decisions/README.md"))
    assert listed == [path.name for path in decisions()]


def test_decisions_are_numbered_without_gap() -> None:
    numbers = [int(path.name[:4]) for path in decisions()]
    assert numbers == list(range(1, len(numbers) + 1))


@pytest.mark.parametrize("heading", ["Context", "Decision", "Consequences", "Considered"])
def test_every_decision_says(heading: str) -> None:
    for path in decisions():
        assert f"\n## {heading}\n" in path.read_text(encoding="utf-8"), path.name


def test_every_link_from_page_to_page_leads_somewhere() -> None:
    missing: list[tuple[str, str]] = []
    for name, text in texts():
        if name.endswith(".md"):
            folder = (HOUSE / name).parent
            links = re.findall(r"\]\(([^)#\s:]+)(?:#[^)]*)?\)", text)
            missing.extend((name, link) for link in links if not (folder / link).exists())
    assert missing == []


@pytest.mark.parametrize("page", ["docs/architecture.md", "docs/glossary.md", "README.md"])
def test_every_file_of_code_that_a_page_names_exists(page: str) -> None:
    named = set(re.findall(r"`((?:access|runtime|edge|server|dashboards)/[\w/]+\.py)`", read(page)))
    assert [name for name in sorted(named) if not (HOUSE / name).exists()] == []


def test_make_explains_every_target_that_a_person_may_call() -> None:
    shown = subprocess.run(
        ["make", "--silent", "help"], cwd=HOUSE, capture_output=True, text=True, check=True
    ).stdout
    for target in ("demo", "test", "check", "bench", "format", "lock", "clean"):
        assert f"make {target} " in shown


def test_the_licence_is_the_one_that_the_package_declares() -> None:
    assert "GNU AFFERO GENERAL PUBLIC LICENSE" in read("LICENSE")
    project = tomllib.loads(read("pyproject.toml"))["project"]
    assert project["license"] == "AGPL-3.0-or-later"
