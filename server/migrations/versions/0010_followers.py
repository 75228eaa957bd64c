"""What followers send on: targets, deliveries, announcements, and an index of alerts."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

LEDGER_PASSES = 1
"""How often the whole ledger is read: one index is made of it."""

_OF_ALERTS = sa.text("kind LIKE 'gardien.alert%'")


def upgrade() -> None:
    """Make the tables and the index."""
    op.create_table(
        "target",
        sa.Column(
            "name", sa.Text(), nullable=False, comment="'alerts.<channel>' or 'webhook.<hook>'"
        ),
        sa.Column("attempts", sa.Integer(), nullable=False, comment="that failed in a row"),
        sa.Column("failing_since", sa.BigInteger()),
        sa.Column("retry_at", sa.BigInteger()),
        sa.Column(
            "error", sa.Text(), comment="of the last attempt; no address and no secret in it"
        ),
        sa.Column("delivered_at", sa.BigInteger(), comment="last success"),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_target")),
        comment="How it stands with each address that followers of the ledger send to.",
    )
    op.create_table(
        "delivery",
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column(
            "entry",
            sa.BigInteger(),
            autoincrement=False,
            nullable=False,
            comment="id in the ledger; what to say is there",
        ),
        sa.Column("site", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False, comment="'waiting', 'sent' or 'dead'"),
        sa.Column(
            "due",
            sa.BigInteger(),
            nullable=False,
            comment="when to try; when it was sent, or given up",
        ),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("error", sa.Text(), comment="of the last attempt"),
        sa.PrimaryKeyConstraint("target", "entry", name=op.f("pk_delivery")),
        comment="What waits to be sent by itself, apart from a follower's cursor, or was given up.",
    )
    op.create_index(
        op.f("ix_delivery_target_state_due"), "delivery", ["target", "state", "due"]
    )
    op.create_table(
        "announced",
        sa.Column("topic", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("topic", name=op.f("pk_announced")),
        comment="What Home Assistant has been told of, so that it can be taken back.",
    )
    op.create_index(
        "ix_ledger_alert",
        "ledger",
        ["site", "id"],
        sqlite_where=_OF_ALERTS,
        postgresql_where=_OF_ALERTS,
    )
