"""The time bank in the manner of money: each entry a posting between two accounts, for good.

A row moves minutes from the account of its site to that of its member. Both sides follow from the
one row, so no row can be out of balance: no set of rows can. Two rows a posting could not be held
to it, since neither database checks a sum over rows.
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

_GUARD = {
    "sqlite": (
        """CREATE TRIGGER time_entry_no_update BEFORE UPDATE ON time_entry
BEGIN SELECT RAISE(ABORT, 'the time bank is append-only'); END""",
        """CREATE TRIGGER time_entry_no_delete BEFORE DELETE ON time_entry
WHEN NOT EXISTS (SELECT 1 FROM purge_permit)
BEGIN SELECT RAISE(ABORT, 'the time bank is append-only'); END""",
    ),
    "postgresql": (
        """CREATE FUNCTION time_entry_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'DELETE' AND EXISTS (SELECT 1 FROM purge_permit) THEN RETURN OLD; END IF;
  RAISE EXCEPTION 'the time bank is append-only' USING ERRCODE = 'integrity_constraint_violation';
END $$""",
        """CREATE TRIGGER time_entry_no_change BEFORE UPDATE OR DELETE ON time_entry
FOR EACH ROW EXECUTE FUNCTION time_entry_guard()""",
        """CREATE TRIGGER time_entry_no_truncate BEFORE TRUNCATE ON time_entry
FOR EACH STATEMENT EXECUTE FUNCTION time_entry_guard()""",
    ),
}

# What no watch earned was entered by hand: it is a correction, and its cause was its reason.
_TAKE_OVER = """INSERT INTO time_entry
  (id, site, member, minutes, cause, at, watch, made_by, reason)
SELECT id, site, member, minutes,
  CASE WHEN watch IS NOT NULL AND minutes > 0 THEN 'watch' ELSE 'correction' END,
  at,
  CASE WHEN minutes > 0 THEN watch END,
  CASE WHEN watch IS NOT NULL AND minutes > 0 THEN NULL ELSE 'operator' END,
  CASE WHEN watch IS NOT NULL AND minutes > 0 THEN NULL ELSE cause END
FROM time_entry_before WHERE minutes <> 0 ORDER BY id"""

_COUNT_ON = """SELECT setval(pg_get_serial_sequence('time_entry', 'id'), max(id))
FROM time_entry HAVING max(id) IS NOT NULL"""


def upgrade() -> None:
    """Make the table anew, take its rows over, and make it append-only."""
    op.execute("CREATE TEMPORARY TABLE time_entry_before AS SELECT * FROM time_entry")
    op.drop_table("time_entry")
    _create()
    op.execute(_TAKE_OVER)
    op.execute("DROP TABLE time_entry_before")
    dialect = op.get_bind().dialect.name
    if dialect == "postgresql":
        op.execute(_COUNT_ON)
    for statement in _GUARD[dialect]:
        op.execute(statement)


def _create() -> None:
    op.create_table(
        "time_entry",
        sa.Column("id", _BIG, autoincrement=True, nullable=False),
        sa.Column(
            "site",
            sa.Text(),
            nullable=False,
            comment="whose account gives them, or takes them back",
        ),
        sa.Column(
            "member", sa.Text(), nullable=False, comment="no foreign key: accounts outlive members"
        ),
        sa.Column(
            "minutes",
            sa.Integer(),
            nullable=False,
            comment="from the site to the member; back below 0",
        ),
        sa.Column(
            "cause", sa.Text(), nullable=False, comment="'watch', 'correction' or 'spending'"
        ),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("watch", sa.Text(), nullable=True, comment="the watch that earned them"),
        sa.Column(
            "made_by", sa.Text(), nullable=True, comment="id of who posted it; none for a watch"
        ),
        sa.Column("reason", sa.Text(), nullable=True, comment="in words, for people"),
        sa.Column(
            "month",
            sa.Text(),
            nullable=True,
            comment="'2026-11': whose presence hours they were spent against",
        ),
        sa.Column(
            "key",
            sa.Text(),
            nullable=True,
            comment="given by who posts, so that a repeat posts nothing",
        ),
        sa.CheckConstraint("minutes <> 0", name=op.f("ck_time_entry_moves_something")),
        sa.CheckConstraint(
            "cause = 'watch' AND minutes > 0 AND watch IS NOT NULL AND month IS NULL"
            " OR cause = 'correction' AND watch IS NULL AND month IS NULL"
            " AND made_by IS NOT NULL AND reason IS NOT NULL"
            " OR cause = 'spending' AND minutes < 0 AND watch IS NULL AND month IS NOT NULL"
            " AND made_by IS NOT NULL",
            name=op.f("ck_time_entry_fits_its_cause"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_time_entry")),
        sa.UniqueConstraint("key", name=op.f("uq_time_entry_key")),
        comment="The time bank. A row is a posting between two accounts; rows are only ever added.",
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_time_entry_member_at"), "time_entry", ["member", "at"], unique=False)
    op.create_index(op.f("ix_time_entry_site_at"), "time_entry", ["site", "at"], unique=False)
    op.create_index(
        "uq_time_entry_site_watch_member",
        "time_entry",
        ["site", "watch", "member"],
        unique=True,
        sqlite_where=sa.text("watch IS NOT NULL"),
        postgresql_where=sa.text("watch IS NOT NULL"),
    )
