"""`gardien door provision`: write what goes onto the card of one door unit."""

import shlex
from pathlib import Path
from typing import Final, Literal

import click

from access.ids import SiteId
from gardien.call import examples, this_call
from gardien.certificates import Identity, check_certificate, requested, signed
from gardien.founding import password_file
from gardien.places import find_door
from gardien.provision import Entry, Files, Wiring, files_for, write_folder, write_tar
from runtime.clock import SystemClock
from runtime.settings import read_secret
from server.folder import Folder

_TLS_PORT: Final = 8883
_CERTIFICATE_DAYS: Final = 730


@click.command(
    epilog=examples(
        "gardien door provision --door main --lock strike --fail secure --active high \\",
        "    --broker broker.gardien.lan --ca ca.crt --ca-key ca.key card/main.tar",
        "gardien door provision --door lab --lock magnet --fail safe --active low \\",
        "    --broker broker.gardien.lan --ca ca.crt --password card/lab",
    )
)
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--door", required=True, help="The door, as in gardien.toml.")
@click.option("--site", help="Its site, where there are several.")
@click.option("--lock", type=click.Choice(["strike", "magnet"]), required=True, help="Its kind.")
@click.option(
    "--fail",
    type=click.Choice(["secure", "safe"]),
    required=True,
    help="What the lock does without power: stay locked from outside, or open.",
)
@click.option(
    "--active",
    type=click.Choice(["high", "low"]),
    required=True,
    help="The level of the relay's pin that unlocks.",
)
@click.option(
    "--release-in-hardware",
    is_flag=True,
    help="The exit button and the fire panel cut the lock's power. Without it the door unit does "
    "not start until door.toml says so.",
)
@click.option("--tamper", is_flag=True, help="A switch says that the case of the unit is open.")
@click.option("--broker", "host", required=True, help="Name of the broker, as in its certificate.")
@click.option(
    "--port", type=click.IntRange(1, 65535), default=_TLS_PORT, show_default=True, help="Its port."
)
@click.option(
    "--ca",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Certificate of the authority that signed the broker's.",
)
@click.option(
    "--ca-key",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="The authority's key, to sign the door's certificate now. Without it a request to be "
    "signed is written.",
)
@click.option(
    "--days",
    type=click.IntRange(1, 3650),
    default=_CERTIFICATE_DAYS,
    show_default=True,
    help="How long the certificate is good for.",
)
@click.option("--password", is_flag=True, help="Log in with a password in place of a certificate.")
def command(
    *,
    out: Path,
    door: str,
    site: str | None,
    lock: Literal["strike", "magnet"],
    fail: Literal["secure", "safe"],
    active: str,
    release_in_hardware: bool,
    tamper: bool,
    host: str,
    port: int,
    ca: Path | None,
    ca_key: Path | None,
    days: int,
    password: bool,
) -> None:
    """Write what goes onto the card of one door unit into OUT, a new folder or a .tar file.

    That is its settings, the server's public key, the site's badge key and card master key, and
    what it shows to the broker: a certificate, a request for one, or a password. Nothing is
    overwritten.
    """
    folder = Folder(path=this_call().data)
    place, unit = find_door(folder.load_settings(), site, door)
    name = f"{place.id}.{unit.id}"
    entry = Entry(
        host=host,
        port=port,
        ca=check_certificate(ca) if ca else None,
        identity=None if password else _identity(name, ca, ca_key, days),
        password=_password(folder, name) if password else None,
    )
    wiring = Wiring(
        kind=lock,
        fail=fail,
        is_active_high=active == "high",
        is_released_in_hardware=release_in_hardware,
        has_tamper=tamper,
    )
    files = files_for(folder, SiteId(place.id), unit, wiring, entry)
    _write(files, out)
    click.echo(f"{out}: {', '.join(files)}")
    _say_what_is_left(out, name, entry, wiring, ca)


def _identity(name: str, ca: Path | None, ca_key: Path | None, days: int) -> Identity:
    if ca is None:
        raise click.UsageError("give --ca, the authority's certificate; or --password")
    if ca_key is None:
        return requested(name)
    return signed(name, ca, ca_key, now=SystemClock().now(), days=days)


def _password(folder: Folder, name: str) -> bytes:
    return read_secret(password_file(folder.path, name)).encode() + b"\n"


def _write(files: Files, out: Path) -> None:
    if out.suffix == ".tar":
        write_tar(files, out, SystemClock().now())
    else:
        write_folder(files, out)


def _say_what_is_left(out: Path, name: str, entry: Entry, wiring: Wiring, ca: Path | None) -> None:
    click.echo("Next:")
    click.echo(
        "  put these into /var/lib/gardien of the door's Pi, owner gardien (docs/install.md)"
    )
    if entry.identity is not None and entry.identity.request is not None:
        authority = shlex.quote(str(ca))
        click.echo(
            f"  sign the request: openssl x509 -req -in keys/door.csr -CA {authority} -CAkey "
            f"<its key> -days {_CERTIFICATE_DAYS} -out keys/door.crt"
        )
    if entry.password is not None:
        click.echo(f"  tell the broker the password of {name}: mosquitto_passwd <file> {name}")
    if not wiring.is_released_in_hardware:
        click.echo(
            f"  once the exit button and the fire panel cut the lock's power, write "
            f"release_in_hardware = true in {out.name}'s door.toml"
        )
