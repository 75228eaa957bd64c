"""What is to be said of mosquitto's settings: mosquitto.conf(5), version 2.0."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from gardien.findings import Finding, Findings, bad, good, mind
from runtime.written import is_loopback
from server.folder import Folder
from server.settings import ServerSettings

MOST_AUTOSAVE_S: Final = 60
"""Seconds between two savings that the shipped settings have; mosquitto's own are 1,800."""

_DEFAULT_AUTOSAVE_S: Final = 1_800
_MOST_DEPTH: Final = 5

_OURS: Final = "firmware_config/mosquitto/gardien.conf"

Options = Mapping[str, str]


def check_broker_file(folder: Folder, settings: ServerSettings) -> Findings:
    """Look at the settings of the broker, where they are on this machine. Blocks for the disk."""
    if settings.broker.program == "none":
        path = settings.broker.config_file
        if not path.exists() and not is_loopback(settings.mqtt.host):
            return  # the broker is on another machine
    else:
        path = folder.path / "broker" / "mosquitto.conf"
        if not path.exists():
            return  # it has never run here, or is amqtt
    try:
        options = read_options(path)
    except OSError as error:
        yield mind(
            en=f"broker: its settings, {path}, can't be read ({error.strerror}), so they were not "
            "looked at; name them with config_file under [broker]",
            fr=f"courtier MQTT : ses réglages, {path}, ne peuvent être lus ({error.strerror}) et "
            "n'ont pas été regardés ; indiquez-les par config_file sous [broker]",
        )
        return
    found = list(judge_options(options, path))
    yield from found or [
        good(
            en=f"broker: {path} keeps what waits on the disk, and lets nobody in without a rule",
            fr=f"courtier MQTT : {path} garde sur disque ce qui attend, et n'admet personne sans "
            "règle",
        )
    ]


def read_options(path: Path, depth: int = 0) -> dict[str, str]:
    """Read a file of mosquitto's, and those of its `include_dir`; of what is said twice, the last.

    Raises:
        OSError: one can't be read.
    """
    found: dict[str, str] = {}
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        key, _, value = line.strip().partition(" ")
        if not key or key.startswith("#"):
            continue
        if key == "include_dir" and depth < _MOST_DEPTH:
            for inner in sorted(Path(value.strip()).glob("*.conf")):
                found |= read_options(inner, depth + 1)
        else:
            found[key] = value.strip()
    return found


def judge_options(options: Options, path: Path) -> Iterator[Finding]:
    """Say what is wrong with mosquitto's settings; nothing where all is well.

    What a power cut takes with anything less was measured: mosquitto without persistence loses all
    that waits, and with its own `autosave_interval` up to half an hour of it.
    """
    yield from _keeping(options, path)
    if options.get("allow_anonymous", "false") == "true":
        yield bad(
            en=f"broker: {path} says allow_anonymous true, so whoever reaches it may speak for a "
            f"door; say false, as {_OURS} does",
            fr=f"courtier MQTT : {path} dit allow_anonymous true : quiconque l'atteint peut parler "
            f"pour une porte ; écrivez false, comme {_OURS}",
        )
    yield from _rules(options, path)


def _keeping(options: Options, path: Path) -> Iterator[Finding]:
    if options.get("persistence", "false") != "true":
        yield mind(
            en=f"broker: {path} does not say persistence true, so all that waits is lost when it "
            f"stops; say it, as {_OURS} does",
            fr=f"courtier MQTT : {path} ne dit pas persistence true : tout ce qui attend est perdu "
            f"à l'arrêt ; écrivez-le, comme {_OURS}",
        )
        return
    every_s = _number(options.get("autosave_interval"), _DEFAULT_AUTOSAVE_S)
    counts_changes = options.get("autosave_on_changes", "false") == "true"
    if not counts_changes and not 0 < every_s <= MOST_AUTOSAVE_S:
        yield mind(
            en=f"broker: {path} saves every {every_s} s (0 is never), and a power cut takes what "
            f"came since; say autosave_interval {MOST_AUTOSAVE_S}, as {_OURS} does",
            fr=f"courtier MQTT : {path} n'enregistre que toutes les {every_s} s (0 : jamais) ; une "
            "coupure de courant emporte ce qui est arrivé depuis ; écrivez "
            f"autosave_interval {MOST_AUTOSAVE_S}, comme {_OURS}",
        )


def _rules(options: Options, path: Path) -> Iterator[Finding]:
    """Say whether there are rules for who may say what; those of a plugin are its own matter."""
    written = options.get("acl_file")
    if written is None:
        if not options.keys() & {"plugin", "auth_plugin"}:
            yield bad(
                en=f"broker: {path} names no acl_file, so each door may speak for the others; give "
                f"one, as {_OURS} does",
                fr=f"courtier MQTT : {path} ne donne pas d'acl_file : chaque porte peut parler "
                f"pour les autres ; donnez-en un, comme {_OURS}",
            )
        return
    try:
        lines = Path(written).read_text(encoding="utf-8", errors="replace").splitlines()
    except PermissionError:
        return  # the broker reads it as another user
    except OSError as error:
        yield bad(
            en=f"broker: {written}, the acl_file of {path}, can't be read ({error.strerror}); "
            "write it: docs/install.md",
            fr=f"courtier MQTT : {written}, l'acl_file de {path}, ne peut être lu "
            f"({error.strerror}) ; écrivez-le : docs/install.md",
        )
        return
    if not any(line.strip() and not line.lstrip().startswith("#") for line in lines):
        yield bad(
            en=f"broker: {written}, the acl_file of {path}, is empty, and some versions take that "
            "for leave to do anything; write it: docs/install.md",
            fr=f"courtier MQTT : {written}, l'acl_file de {path}, est vide, ce que certaines "
            "versions prennent pour une permission générale ; écrivez-le : docs/install.md",
        )


def _number(written: str | None, otherwise: int) -> int:
    return int(written) if written is not None and written.isdecimal() else otherwise
