"""The tables of the registry, the ledger and the time bank."""

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Connection,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    event,
    text,
)

from server.database import Instant

metadata: Final = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)
"""The newest schema; `server/migrations` leads every installation to it."""

_BIG: Final = BigInteger().with_variant(Integer, "sqlite")
"""A number that the database counts up; SQLite does so for INTEGER only."""

IS_OF_ALERTS: Final = "kind LIKE 'gardien.alert%'"
"""Alerts and their acknowledgements, in SQL: as the index has it, so that it is used."""

ledger: Final = Table(
    "ledger",
    metadata,
    Column("id", _BIG, primary_key=True, autoincrement=True, comment="order of commit"),
    Column("site", Text, nullable=False),
    Column("source", Text, nullable=False, comment="a door's id, or 'server'"),
    Column("seq", BigInteger, nullable=False, comment="from 1 in each chain, without gaps"),
    Column("kind", Text, nullable=False, comment="CloudEvents type, 'gardien.access.granted'"),
    Column("time", Instant, nullable=False, comment="when it happened"),
    Column("received", Instant, nullable=False, comment="when the server took it in"),
    Column("member", Text, comment="id of the member in it"),
    Column("request", Text, comment="id of the request; on the server's decisions only"),
    Column("body", Text, nullable=False, comment="the whole record, canonical JSON"),
    UniqueConstraint("site", "source", "seq"),
    Index(
        "uq_ledger_site_request",
        "site",
        "request",
        unique=True,
        sqlite_where=text("request IS NOT NULL"),
        postgresql_where=text("request IS NOT NULL"),
    ),
    Index(None, "site", "id"),
    Index(None, "site", "time"),
    # Few among many, looked for by the board and by whoever sends them on.
    Index(
        "ix_ledger_alert",
        "site",
        "id",
        sqlite_where=text(IS_OF_ALERTS),
        postgresql_where=text(IS_OF_ALERTS),
    ),
    # Of those who are not forgotten yet alone, so that it stays small and can be made anew nightly.
    Index(
        "ix_ledger_member_time",
        "member",
        "time",
        sqlite_where=text("member IS NOT NULL"),
        postgresql_where=text("member IS NOT NULL"),
    ),
    comment="What happened, once and for good. Rows are only ever added.",
    # Ids are not used again after a purge: a follower's cursor would pass over them.
    sqlite_autoincrement=True,
)

purge_permit: Final = Table(
    "purge_permit",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    CheckConstraint("id = 1", name="one_row"),
    comment="The one door to change the ledger: see LEDGER_GUARD. Empty outside a purge.",
)

site_state: Final = Table(
    "site_state",
    metadata,
    Column("site", Text, primary_key=True),
    Column("version", BigInteger, nullable=False, comment="one more at each change"),
    Column("body", Text, nullable=False, comment="presence, watch, ends of chains; JSON"),
    comment="What follows from the ledger of a site, so that a start reads one row.",
)

set_aside: Final = Table(
    "set_aside",
    metadata,
    Column("id", _BIG, primary_key=True, autoincrement=True),
    Column("site", Text, nullable=False),
    Column("door", Text, nullable=False),
    Column("received", Instant, nullable=False),
    Column("why", Text, nullable=False),
    Column("body", Text, nullable=False, comment="as it came"),
    Index(None, "site", "id"),
    comment="Records of doors that did not fit their chain, kept as evidence.",
    sqlite_autoincrement=True,
)

member: Final = Table(
    "member",
    metadata,
    Column("id", Text, primary_key=True, comment="slug"),
    Column("name", Text, nullable=False),
    Column("email", Text, unique=True, comment="lower case"),
    Column("language", Text, nullable=False),
    Column("plan", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("since", Instant),
    Column("until", Instant, comment="does not belong"),
    Column("is_guardian", Boolean, nullable=False),
    Column("created", Instant, nullable=False),
    comment="People. The only table with their names.",
)

member_site: Final = Table(
    "member_site",
    metadata,
    Column("member", Text, ForeignKey("member.id", ondelete="CASCADE"), primary_key=True),
    Column("site", Text, primary_key=True),
    comment="The sites that a member belongs to.",
)

badge: Final = Table(
    "badge",
    metadata,
    Column("digest", Text, primary_key=True, comment="keyed digest of the UID, 32 hex digits"),
    Column("member", Text, ForeignKey("member.id"), nullable=False, index=True),
    Column("status", Text, nullable=False),
    Column("since", Instant),
    Column("until", Instant, comment="does not belong"),
    Column("level", Integer, nullable=False, comment="0, 1 or 3: see 'Badges differ'"),
    Column("label", Text, comment="what is written on the card"),
    Column("assigned_at", Instant, nullable=False),
    comment="RFID cards and whose they are.",
)

badge_token: Final = Table(
    "badge_token",
    metadata,
    Column("badge", Text, ForeignKey("badge.digest", ondelete="CASCADE"), primary_key=True),
    Column("counter", BigInteger, primary_key=True, autoincrement=False),
    Column("token", Text, comment="as it was read, 32 hex digits; none once it is forgotten"),
    Column("request", Text, comment="id of the visit; none once it is forgotten"),
    Column("seen_at", Instant, comment="when; none once it is forgotten"),
    comment="The newest tokens that badges of level L1 have shown: see access/tokens.py.",
)

authorization: Final = Table(
    "authorization",
    metadata,
    Column("id", Text, primary_key=True),
    Column("site", Text, nullable=False, index=True),
    Column("guardian", Text, ForeignKey("member.id"), nullable=False, index=True),
    Column("start_at", Instant, nullable=False, comment="without lead; of the first, if weekly"),
    Column("end_at", Instant, nullable=False, comment="without grace; does not belong"),
    Column("lead_s", Integer, nullable=False),
    Column("grace_s", Integer, nullable=False),
    Column("is_weekly", Boolean, nullable=False, comment="again each week at the same local time"),
    Column("title", Text),
    Column("audience", Text, nullable=False),
    Column("revoked_at", Instant),
    comment="Rights of guardians to open a site, granted directly.",
)

event_source: Final = Table(
    "event_source",
    metadata,
    Column("id", _BIG, primary_key=True, autoincrement=True),
    Column("site", Text, nullable=False),
    Column("kind", Text, nullable=False, comment="'file' or 'url'"),
    Column("location", Text, nullable=False),
    Column("etag", Text),
    Column("body", Text, nullable=False, comment="iCalendar, RFC 5545"),
    Column("fetched_at", Instant, nullable=False),
    Column("failing_since", Instant, comment="since when it can't be read"),
    Column("told_at", Instant, comment="when somebody was told so"),
    UniqueConstraint("site", "location"),
    comment="Calendars of events, as they were last read.",
)

account: Final = Table(
    "account",
    metadata,
    Column("email", Text, primary_key=True, comment="lower case"),
    Column("member", Text, ForeignKey("member.id"), nullable=False, index=True),
    Column("password_hash", Text, nullable=False, comment="Argon2id, PHC string"),
    Column("changed_at", Instant, nullable=False),
    comment="Log-ins of the dashboard.",
)

time_entry: Final = Table(
    "time_entry",
    metadata,
    Column("id", _BIG, primary_key=True, autoincrement=True),
    Column("site", Text, nullable=False, comment="whose account gives them, or takes them back"),
    Column("member", Text, nullable=False, comment="no foreign key: accounts outlive members"),
    Column("minutes", Integer, nullable=False, comment="from the site to the member; back below 0"),
    Column("cause", Text, nullable=False, comment="'watch', 'correction' or 'spending'"),
    Column("at", Instant, nullable=False),
    Column("watch", Text, comment="the watch that earned them"),
    Column("made_by", Text, comment="id of who posted it; none for a watch"),
    Column("reason", Text, comment="in words, for people"),
    Column("month", Text, comment="'2026-11': whose presence hours they were spent against"),
    Column("key", Text, comment="given by who posts, so that a repeat posts nothing"),
    CheckConstraint("minutes <> 0", name="moves_something"),
    CheckConstraint(
        "cause = 'watch' AND minutes > 0 AND watch IS NOT NULL AND month IS NULL"
        " OR cause = 'correction' AND watch IS NULL AND month IS NULL"
        " AND made_by IS NOT NULL AND reason IS NOT NULL"
        " OR cause = 'spending' AND minutes < 0 AND watch IS NULL AND month IS NOT NULL"
        " AND made_by IS NOT NULL",
        name="fits_its_cause",
    ),
    UniqueConstraint("key"),
    Index(
        "uq_time_entry_site_watch_member",
        "site",
        "watch",
        "member",
        unique=True,
        sqlite_where=text("watch IS NOT NULL"),
        postgresql_where=text("watch IS NOT NULL"),
    ),
    Index(None, "member", "at"),
    Index(None, "site", "at"),
    comment="The time bank. A row is a posting between two accounts; rows are only ever added.",
    sqlite_autoincrement=True,
)

door_order: Final = Table(
    "door_order",
    metadata,
    Column("id", Text, primary_key=True, comment="of the command, UUID version 7"),
    Column("site", Text, nullable=False),
    Column("door", Text, nullable=False),
    Column("do", Text, nullable=False),
    Column("made_by", Text, nullable=False, comment="id of who ordered it, or 'server'"),
    Column("at", Instant, nullable=False),
    Column("expires", Instant, nullable=False),
    Index(None, "site"),
    comment="What doors are still to be told. A row goes when the door did it, or it is over.",
)

presence_month: Final = Table(
    "presence_month",
    metadata,
    Column("site", Text, primary_key=True),
    Column("member", Text, primary_key=True, comment="no foreign key: accounts outlive members"),
    Column("month", Text, primary_key=True, comment="'2026-11', as the site counts it"),
    Column("present_us", BigInteger, nullable=False, comment="microseconds inside"),
    Column("inside_at", Instant, comment="they were inside when the count ended then"),
    CheckConstraint("present_us >= 0", name="not_below_zero"),
    comment="How long nomads were inside, of what the ledger has forgotten since.",
)

follower: Final = Table(
    "follower",
    metadata,
    Column("name", Text, primary_key=True),
    Column("cursor", BigInteger, nullable=False, comment="id of the last entry that it has done"),
    comment="How far each follower of the ledger has come.",
)

target: Final = Table(
    "target",
    metadata,
    Column("name", Text, primary_key=True, comment="'alerts.<channel>' or 'webhook.<hook>'"),
    Column("attempts", Integer, nullable=False, comment="that failed in a row"),
    Column("failing_since", Instant),
    Column("retry_at", Instant),
    Column("error", Text, comment="of the last attempt; no address and no secret in it"),
    Column("delivered_at", Instant, comment="last success"),
    comment="How it stands with each address that followers of the ledger send to.",
)

delivery: Final = Table(
    "delivery",
    metadata,
    Column("target", Text, primary_key=True),
    Column("entry", BigInteger, primary_key=True, comment="id in the ledger; what to say is there"),
    Column("site", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("state", Text, nullable=False, comment="'waiting', 'sent' or 'dead'"),
    Column("due", Instant, nullable=False, comment="when to try; when it was sent, or given up"),
    Column("attempts", Integer, nullable=False),
    Column("error", Text, comment="of the last attempt"),
    Index(None, "target", "state", "due"),
    comment="What waits to be sent by itself, apart from a follower's cursor, or was given up.",
)

announced: Final = Table(
    "announced",
    metadata,
    Column("topic", Text, primary_key=True),
    comment="What Home Assistant has been told of, so that it can be taken back.",
)

forgetting: Final = Table(
    "forgetting",
    metadata,
    Column("site", Text, primary_key=True, comment="empty where it is of all sites"),
    Column("what", Text, primary_key=True, comment="'members', 'unknown_badges', 'hours', 'run'"),
    Column("until", Instant, nullable=False, comment="what happened before has been seen to"),
    Column("last_id", BigInteger, nullable=False, comment="the ledger's end at that time"),
    comment="How far the forgetting has come.",
)

ended_member: Final = Table(
    "ended_member",
    metadata,
    Column("member", Text, ForeignKey("member.id", ondelete="CASCADE"), primary_key=True),
    Column("seen", Instant, nullable=False, comment="when the status was first seen to be 'ended'"),
    comment="Since when memberships are over that were ended by hand, without a date.",
)

revision: Final = Table(
    "revision",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("counter", BigInteger, nullable=False),
    CheckConstraint("id = 1", name="one_row"),
    comment="One row, counted up by each change of the registry, so that a policy knows its age.",
)

LEDGER_GUARD: Final = {
    "sqlite": (
        """CREATE TRIGGER ledger_no_update BEFORE UPDATE ON ledger
WHEN NOT EXISTS (SELECT 1 FROM purge_permit)
BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END""",
        """CREATE TRIGGER ledger_no_delete BEFORE DELETE ON ledger
WHEN NOT EXISTS (SELECT 1 FROM purge_permit)
BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END""",
    ),
    "postgresql": (
        """CREATE FUNCTION ledger_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NOT EXISTS (SELECT 1 FROM purge_permit) THEN
    RAISE EXCEPTION 'the ledger is append-only' USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  IF TG_OP = 'UPDATE' THEN RETURN NEW; END IF;
  RETURN OLD;
END $$""",
        """CREATE TRIGGER ledger_no_change BEFORE UPDATE OR DELETE ON ledger
FOR EACH ROW EXECUTE FUNCTION ledger_guard()""",
        """CREATE TRIGGER ledger_no_truncate BEFORE TRUNCATE ON ledger
FOR EACH STATEMENT EXECUTE FUNCTION ledger_guard()""",
    ),
}
"""Statements by dialect that make the ledger append-only.

A purge has one way past them: in its transaction it puts the row into `purge_permit`, does its
work, and takes the row out before it commits. Nobody else ever sees the row.
"""


def only_added_to(table: str, what: str) -> dict[str, tuple[str, ...]]:
    """Give statements by dialect that let a purge take rows out of a table, and nobody change any.

    Args:
        table: its name.
        what: what it is, as the error says it.
    """
    return {
        "sqlite": (
            f"""CREATE TRIGGER {table}_no_update BEFORE UPDATE ON {table}
BEGIN SELECT RAISE(ABORT, '{what} is append-only'); END""",
            f"""CREATE TRIGGER {table}_no_delete BEFORE DELETE ON {table}
WHEN NOT EXISTS (SELECT 1 FROM purge_permit)
BEGIN SELECT RAISE(ABORT, '{what} is append-only'); END""",  # noqa: S608 (names of our own)
        ),
        "postgresql": (
            f"""CREATE FUNCTION {table}_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'DELETE' AND EXISTS (SELECT 1 FROM purge_permit) THEN RETURN OLD; END IF;
  RAISE EXCEPTION '{what} is append-only' USING ERRCODE = 'integrity_constraint_violation';
END $$""",  # noqa: S608 (likewise)
            f"""CREATE TRIGGER {table}_no_change BEFORE UPDATE OR DELETE ON {table}
FOR EACH ROW EXECUTE FUNCTION {table}_guard()""",
            f"""CREATE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON {table}
FOR EACH STATEMENT EXECUTE FUNCTION {table}_guard()""",
        ),
    }


TIME_BANK_GUARD: Final = only_added_to("time_entry", "the time bank")
"""Statements by dialect that make the time bank append-only.

A posting is corrected by another one. A purge may take out old ones, never change them.
"""


@event.listens_for(metadata, "after_create")
def _guard(target: MetaData, connection: Connection, **_: object) -> None:  # noqa: ARG001 (SQLAlchemy's)
    dialect = connection.dialect.name
    for statement in (*LEDGER_GUARD[dialect], *TIME_BANK_GUARD[dialect]):
        connection.exec_driver_sql(statement)
