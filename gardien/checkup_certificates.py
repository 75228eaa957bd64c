"""What is to be said of certificates: for how many days they are good still."""

import math
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from gardien.errors import one_line
from gardien.findings import Finding, Findings, bad, good, mind
from runtime.settings import MqttSettings
from runtime.trust import CertificateError, validity_of
from server.folder import Folder

SOON: Final = timedelta(days=30)
"""A certificate that ends within that time is to be renewed."""

_A_DAY: Final = timedelta(days=1)


def check_certificates(folder: Folder, mqtt: MqttSettings, now: datetime) -> Findings:
    """Look at the certificates that the settings name, and at those of doors kept here.

    The broker's own is looked at where the broker is asked.

    Args:
        folder: of the installation.
        mqtt: names the authority's certificate and the server's.
        now: the machine's time.
    """
    for path in _files(folder, mqtt):
        try:
            start, end = validity_of(path.read_bytes(), str(path))
        except (OSError, CertificateError) as error:
            yield bad(
                en=f"certificates: {one_line(error)}; bring it back from a backup, or make a new "
                "one (docs/install.md)",
                fr=f"certificats : {one_line(error)} ; reprenez-le d'une sauvegarde, ou faites-en "
                "un nouveau (docs/install.md)",
            )
            continue
        yield judge(str(path), start, end, now)


def judge(name: str, start: datetime, end: datetime, now: datetime) -> Finding:
    """Say whether a certificate is good, and for how long. Pure.

    Args:
        name: of it, for people.
        start: from when on it is good.
        end: until when.
        now: the time.
    """
    en, fr = f"certificates: {name}", f"certificats : {name}"
    if now < start:
        return bad(
            en=f"{en} is good only from {start:%Y-%m-%d %H:%M} UTC on, so no link can be made with "
            "it; set this machine's clock, or make a new one",
            fr=f"{fr} ne vaut qu'à partir du {start:%Y-%m-%d %H:%M} UTC : aucune liaison n'est "
            "possible avec lui ; réglez l'horloge de la machine, ou faites-en un nouveau",
        )
    if now >= end:
        return bad(
            en=f"{en} ran out on {end:%Y-%m-%d}, so no link can be made with it; make a new one "
            "(docs/install.md)",
            fr=f"{fr} a expiré le {end:%Y-%m-%d} : aucune liaison n'est possible avec lui ; "
            "faites-en un nouveau (docs/install.md)",
        )
    days = math.floor((end - now) / _A_DAY)
    if end - now < SOON:
        return mind(
            en=f"{en} runs out in {days} days, on {end:%Y-%m-%d}; make a new one before "
            "(docs/install.md)",
            fr=f"{fr} expire dans {days} jours, le {end:%Y-%m-%d} ; faites-en un nouveau avant "
            "(docs/install.md)",
        )
    return good(en=f"{en} is good for {days} days", fr=f"{fr} vaut encore {days} jours")


def _files(folder: Folder, mqtt: MqttSettings) -> Iterator[Path]:
    named = [one for one in (mqtt.ca_file, mqtt.certificate_file) if one is not None]
    yield from dict.fromkeys([*named, *sorted(folder.path.rglob("*.crt"))])
