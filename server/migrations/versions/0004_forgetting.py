"""How far the forgetting has come, and a way to what happened before a time."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

LEDGER_PASSES = 2
"""How often the whole ledger is read: two indexes are made of it."""


def upgrade() -> None:
    """Make both tables and the index; leave out of the members' index who is forgotten."""
    op.drop_index(op.f("ix_ledger_member_time"), table_name="ledger")
    op.create_index(
        "ix_ledger_member_time",
        "ledger",
        ["member", "time"],
        unique=False,
        sqlite_where=sa.text("member IS NOT NULL"),
        postgresql_where=sa.text("member IS NOT NULL"),
    )
    op.create_index(op.f("ix_ledger_site_time"), "ledger", ["site", "time"], unique=False)
    op.create_table(
        "forgetting",
        sa.Column("site", sa.Text(), nullable=False, comment="empty where it is of all sites"),
        sa.Column(
            "what",
            sa.Text(),
            nullable=False,
            comment="'members', 'unknown_badges', 'hours', 'run'",
        ),
        sa.Column(
            "until",
            sa.BigInteger(),
            nullable=False,
            comment="what happened before has been seen to",
        ),
        sa.Column(
            "last_id", sa.BigInteger(), nullable=False, comment="the ledger's end at that time"
        ),
        sa.PrimaryKeyConstraint("site", "what", name=op.f("pk_forgetting")),
        comment="How far the forgetting has come.",
    )
    op.create_table(
        "ended_member",
        sa.Column("member", sa.Text(), nullable=False),
        sa.Column(
            "seen",
            sa.BigInteger(),
            nullable=False,
            comment="when the status was first seen to be 'ended'",
        ),
        sa.ForeignKeyConstraint(
            ["member"], ["member.id"], name=op.f("fk_ended_member_member"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("member", name=op.f("pk_ended_member")),
        comment="Since when memberships are over that were ended by hand, without a date.",
    )
