"""What is to be said of people: whether staff can log in, and whether badges are worth anything."""

from sqlalchemy import func, select

from access.model import BadgeLevel, BadgeStatus, Plan, Status
from gardien.findings import Findings, bad, good, mind
from server import registry, schema
from server.installation import Installation


def check_accounts(installation: Installation) -> Findings:
    """Look whether somebody of the staff can log in. Blocks for the database."""
    of = schema.member.c
    staff = (
        select(func.count())
        .select_from(schema.account.join(schema.member))
        .where(of.plan == Plan.STAFF.value, of.status == Status.ACTIVE.value)
    )
    with installation.database.reading() as connection:
        count = int(connection.execute(staff).scalar_one())
    if count:
        yield good(
            en=f"accounts: {count} of staff can log in",
            fr=f"comptes : {count} membres de l'équipe peuvent se connecter",
        )
    else:
        yield bad(
            en="accounts: nobody of the staff can log in to the dashboard; make a log-in with "
            "`gardien member password`",
            fr="comptes : personne de l'équipe ne peut se connecter au tableau de bord ; créez un "
            "accès avec `gardien member password`",
        )


def check_badges(installation: Installation) -> Findings:
    """Look whether badges can be copied in seconds. Blocks for the database."""
    with installation.database.reading() as connection:
        badges = registry.list_badges(connection)
    active = [one for one in badges if one.status is BadgeStatus.ACTIVE]
    weak = [one for one in active if one.level is BadgeLevel.L0]
    careless = [s.id for s in installation.settings.sites if s.level_after_hours == "L0"]
    if not active:
        yield mind(
            en="badges: none yet; give one with `gardien badge assign`",
            fr="badges : aucun pour l'instant ; donnez-en un avec `gardien badge assign`",
        )
    elif weak and careless:
        yield mind(
            en=f"badges: {len(weak)} of {len(active)} are of level L0, copied in seconds, and "
            f"{', '.join(careless)} takes them after hours; see level_after_hours in gardien.toml",
            fr=f"badges : {len(weak)} sur {len(active)} sont de niveau L0, copiables en quelques "
            f"secondes, et {', '.join(careless)} les accepte hors horaires ; voyez "
            "level_after_hours dans gardien.toml",
        )
    else:
        yield good(en=f"badges: {len(active)} in use", fr=f"badges : {len(active)} en service")
