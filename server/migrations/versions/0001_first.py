"""The registry, the ledger and the time bank.

A revision is never changed once released: it stands apart from `server.schema`, and a test
compares where both lead.
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

_GUARD = {
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


def upgrade() -> None:
    """Make all tables, and make the ledger append-only."""
    op.create_table(
        "event_source",
        sa.Column("id", _BIG, autoincrement=True, nullable=False),
        sa.Column("site", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False, comment="'file' or 'url'"),
        sa.Column("location", sa.Text(), nullable=False),
        sa.Column("etag", sa.Text(), nullable=True),
        sa.Column("body", sa.Text(), nullable=False, comment="iCalendar, RFC 5545"),
        sa.Column("fetched_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_event_source")),
        sa.UniqueConstraint("site", "location", name=op.f("uq_event_source_site_location")),
        comment="Calendars of events, as they were last read.",
    )
    op.create_table(
        "follower",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column(
            "cursor",
            sa.BigInteger(),
            nullable=False,
            comment="id of the last entry that it has done",
        ),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_follower")),
        comment="How far each follower of the ledger has come.",
    )
    op.create_table(
        "ledger",
        sa.Column("id", _BIG, autoincrement=True, nullable=False, comment="order of commit"),
        sa.Column("site", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False, comment="a door's id, or 'server'"),
        sa.Column(
            "seq", sa.BigInteger(), nullable=False, comment="from 1 in each chain, without gaps"
        ),
        sa.Column(
            "kind", sa.Text(), nullable=False, comment="CloudEvents type, 'gardien.access.granted'"
        ),
        sa.Column("time", sa.BigInteger(), nullable=False, comment="when it happened"),
        sa.Column(
            "received", sa.BigInteger(), nullable=False, comment="when the server took it in"
        ),
        sa.Column("member", sa.Text(), nullable=True, comment="id of the member in it"),
        sa.Column(
            "request",
            sa.Text(),
            nullable=True,
            comment="id of the request; on the server's decisions only",
        ),
        sa.Column("body", sa.Text(), nullable=False, comment="the whole record, canonical JSON"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ledger")),
        sa.UniqueConstraint("site", "source", "seq", name=op.f("uq_ledger_site_source_seq")),
        comment="What happened, once and for good. Rows are only ever added.",
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_ledger_member_time"), "ledger", ["member", "time"], unique=False)
    op.create_index(op.f("ix_ledger_site_id"), "ledger", ["site", "id"], unique=False)
    op.create_index(
        "uq_ledger_site_request",
        "ledger",
        ["site", "request"],
        unique=True,
        sqlite_where=sa.text("request IS NOT NULL"),
        postgresql_where=sa.text("request IS NOT NULL"),
    )
    op.create_table(
        "member",
        sa.Column("id", sa.Text(), nullable=False, comment="slug"),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("email", sa.Text(), nullable=True, comment="lower case"),
        sa.Column("language", sa.Text(), nullable=False),
        sa.Column("plan", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=True),
        sa.Column("until", sa.BigInteger(), nullable=True, comment="does not belong"),
        sa.Column("is_guardian", sa.Boolean(), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_member")),
        sa.UniqueConstraint("email", name=op.f("uq_member_email")),
        comment="People. The only table with their names.",
    )
    op.create_table(
        "purge_permit",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_purge_permit_one_row")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_purge_permit")),
        comment="The one door to change the ledger: see LEDGER_GUARD. Empty outside a purge.",
    )
    op.create_table(
        "revision",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("counter", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_revision_one_row")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_revision")),
        comment="One row, counted up by each change of the registry, so that a policy knows its age.",
    )
    op.create_table(
        "set_aside",
        sa.Column("id", _BIG, autoincrement=True, nullable=False),
        sa.Column("site", sa.Text(), nullable=False),
        sa.Column("door", sa.Text(), nullable=False),
        sa.Column("received", sa.BigInteger(), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False, comment="as it came"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_set_aside")),
        comment="Records of doors that did not fit their chain, kept as evidence.",
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_set_aside_site_id"), "set_aside", ["site", "id"], unique=False)
    op.create_table(
        "site_state",
        sa.Column("site", sa.Text(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False, comment="one more at each change"),
        sa.Column(
            "body", sa.Text(), nullable=False, comment="presence, watch, ends of chains; JSON"
        ),
        sa.PrimaryKeyConstraint("site", name=op.f("pk_site_state")),
        comment="What follows from the ledger of a site, so that a start reads one row.",
    )
    op.create_table(
        "time_entry",
        sa.Column("id", _BIG, autoincrement=True, nullable=False),
        sa.Column("site", sa.Text(), nullable=False),
        sa.Column(
            "member", sa.Text(), nullable=False, comment="no foreign key: accounts outlive members"
        ),
        sa.Column(
            "minutes", sa.Integer(), nullable=False, comment="earned above zero, spent below"
        ),
        sa.Column("watch", sa.Text(), nullable=True, comment="the watch that earned them"),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_time_entry")),
        comment="The time bank.",
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_time_entry_member_at"), "time_entry", ["member", "at"], unique=False)
    op.create_index(
        "uq_time_entry_watch_member",
        "time_entry",
        ["watch", "member"],
        unique=True,
        sqlite_where=sa.text("watch IS NOT NULL"),
        postgresql_where=sa.text("watch IS NOT NULL"),
    )
    op.create_table(
        "account",
        sa.Column("email", sa.Text(), nullable=False, comment="lower case"),
        sa.Column("member", sa.Text(), nullable=False),
        sa.Column("password_hash", sa.Text(), nullable=False, comment="Argon2id, PHC string"),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["member"], ["member.id"], name=op.f("fk_account_member")),
        sa.PrimaryKeyConstraint("email", name=op.f("pk_account")),
        comment="Log-ins of the dashboard.",
    )
    op.create_index(op.f("ix_account_member"), "account", ["member"], unique=False)
    op.create_table(
        "authorization",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("site", sa.Text(), nullable=False),
        sa.Column("guardian", sa.Text(), nullable=False),
        sa.Column(
            "start_at",
            sa.BigInteger(),
            nullable=False,
            comment="without lead; of the first, if weekly",
        ),
        sa.Column(
            "end_at", sa.BigInteger(), nullable=False, comment="without grace; does not belong"
        ),
        sa.Column("lead_s", sa.Integer(), nullable=False),
        sa.Column("grace_s", sa.Integer(), nullable=False),
        sa.Column(
            "is_weekly",
            sa.Boolean(),
            nullable=False,
            comment="again each week at the same local time",
        ),
        sa.Column("title", sa.Text(), nullable=True),
        sa.Column("audience", sa.Text(), nullable=False),
        sa.Column("revoked_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["guardian"], ["member.id"], name=op.f("fk_authorization_guardian")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_authorization")),
        comment="Rights of guardians to open a site, granted directly.",
    )
    op.create_index(op.f("ix_authorization_guardian"), "authorization", ["guardian"], unique=False)
    op.create_index(op.f("ix_authorization_site"), "authorization", ["site"], unique=False)
    op.create_table(
        "badge",
        sa.Column(
            "digest", sa.Text(), nullable=False, comment="keyed digest of the UID, 32 hex digits"
        ),
        sa.Column("member", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=True),
        sa.Column("until", sa.BigInteger(), nullable=True, comment="does not belong"),
        sa.Column("level", sa.Integer(), nullable=False, comment="0, 1 or 3: see 'Badges differ'"),
        sa.Column("label", sa.Text(), nullable=True, comment="what is written on the card"),
        sa.Column("assigned_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["member"], ["member.id"], name=op.f("fk_badge_member")),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_badge")),
        comment="RFID cards and whose they are.",
    )
    op.create_index(op.f("ix_badge_member"), "badge", ["member"], unique=False)
    op.create_table(
        "member_site",
        sa.Column("member", sa.Text(), nullable=False),
        sa.Column("site", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["member"], ["member.id"], name=op.f("fk_member_site_member"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("member", "site", name=op.f("pk_member_site")),
        comment="The sites that a member belongs to.",
    )
    for statement in _GUARD[op.get_bind().dialect.name]:
        op.execute(statement)
