"""The demonstration's panel on the board: be one of its members, and present their badge."""

from pathlib import Path
from typing import Final

from access.ids import DoorId, SiteId
from access.model import Reader
from dashboards.parts import Demo, DemoBadge
from edge.simulated.client import DoorSilentError, NoSuchDoorError, tap
from gardien.demo.cast import Player, cast
from gardien.demo.site import MARK
from gardien.demo.story import STRANGER
from server.folder import Folder

_GROUPS: Final = {
    "staff": ("Salariés", "Staff"),
    "guardian": ("Gardiens", "Guardians"),
    "resident": ("Résidents", "Residents"),
    "nomad": ("Nomades", "Nomads"),
    "partner": ("Partenaires", "Partners"),
    "stranger": ("Un badge inconnu", "An unknown badge"),
}
_STRANGER: Final = ("trouvé dans la rue", "found in the street")


def panel_of(folder: Folder, language: str) -> Demo | None:
    """Give the panel, if the installation is a demonstration's."""
    if not (folder.path / MARK).exists():
        return None

    def present(_site: SiteId, door: DoorId, reader: Reader, uid: str) -> None:
        _present(folder.path / "doors" / door / "sim.sock", reader, bytes.fromhex(uid))

    return Demo(tap=present, badges=tuple(_badges(language)))


def _present(socket: Path, reader: Reader, uid: bytes) -> None:
    try:
        tap(socket, uid=uid, reader=reader.value)
    except (NoSuchDoorError, DoorSilentError) as error:
        raise ValueError(str(error)) from error


def _badges(language: str) -> list[DemoBadge]:
    english = language == "en"
    badges = [
        DemoBadge(uid=player.uid.hex(), label=player.name, group=_GROUPS[_group(player)][english])
        for player in cast()
    ]
    stranger = DemoBadge(
        uid=STRANGER.hex(), label=_STRANGER[english], group=_GROUPS["stranger"][english]
    )
    return [*badges, stranger]


def _group(player: Player) -> str:
    return "guardian" if player.is_guardian else player.plan
