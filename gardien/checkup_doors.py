"""What is to be said of a site's doors: whether they speak, and how old their rules are."""

from datetime import datetime, timedelta
from typing import Final

from access.ids import DoorId, SiteId
from gardien.findings import Finding, Findings, bad, good, mind
from server.installation import Installation
from server.settings import SiteSettings
from server.state import DoorTrack

SILENT: Final = timedelta(minutes=5)
"""A door that nobody has heard for so long is silent: it speaks every 30 s."""

OLD_POLICY: Final = timedelta(hours=24)
_RELIED_ON: Final = timedelta(hours=72)


def check_site(installation: Installation, site: SiteSettings) -> Findings:
    """Look at the guardians and the doors of a site. Blocks for the database."""
    policy = installation.policies.current(SiteId(site.id))
    state = installation.gatehouse.look(SiteId(site.id))
    now = installation.clock.now()
    if not any(member.is_guardian for member in policy.members.values()):
        yield mind(
            en=f"{site.id}: no guardians; after hours nobody can open but staff",
            fr=f"{site.id} : aucun gardien ; hors horaires, seule l'équipe peut ouvrir",
        )
    for door in site.doors:
        track = state.doors.get(DoorId(door.id), DoorTrack())
        yield _door(f"{site.id}/{door.id}", track, now)


def _door(name: str, track: DoorTrack, now: datetime) -> Finding:
    if track.heard_at is None or track.state is None:
        return mind(
            en=f"{name}: never heard of; start its unit",
            fr=f"{name} : jamais entendue ; démarrez son boîtier",
        )
    since = f"{(now - track.heard_at).total_seconds() / 60:.0f} min"
    if not track.is_online:
        return bad(
            en=f"{name}: offline, last heard of {since} ago; check its power and its network",
            fr=f"{name} : hors ligne, entendue il y a {since} ; vérifiez son courant et son réseau",
        )
    if now - track.heard_at > SILENT:
        return bad(
            en=f"{name}: silent for {since}; check that the server and the unit run",
            fr=f"{name} : muette depuis {since} ; vérifiez que le serveur et le boîtier tournent",
        )
    broken = [reader for reader, how in (track.state.readers or {}).items() if how != "ok"]
    if broken:
        return bad(
            en=f"{name}: reader {' and '.join(broken)} does not work; check its wires",
            fr=f"{name} : lecteur {' et '.join(broken)} en panne ; vérifiez ses fils",
        )
    return _policy_of(name, track, now)


def _policy_of(name: str, track: DoorTrack, now: datetime) -> Finding:
    """Say how old the policy is that a door holds: its version is when it was made, in seconds."""
    version = track.state.policy if track.state is not None else None
    if not version:
        return bad(
            en=f"{name}: has no policy; is the server running?",
            fr=f"{name} : n'a pas de règles ; le serveur tourne-t-il ?",
        )
    age = now - datetime.fromtimestamp(version, now.tzinfo)
    hours = age / timedelta(hours=1)
    en = f"{name}: online, its policy is {hours:.1f} h old"
    fr = f"{name} : en ligne, ses règles ont {hours:.1f} h"
    if age > _RELIED_ON:
        return bad(
            en=f"{en}, too old to be relied on; is the server running?",
            fr=f"{fr}, trop pour s'y fier ; le serveur tourne-t-il ?",
        )
    if age > OLD_POLICY:
        return mind(en=f"{en}; is the server running?", fr=f"{fr} ; le serveur tourne-t-il ?")
    return good(en=en, fr=fr)
