"""How long nomads were present in each month; since when a calendar's address can't be read."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table and both columns."""
    op.create_table(
        "presence_month",
        sa.Column("site", sa.Text(), nullable=False),
        sa.Column(
            "member", sa.Text(), nullable=False, comment="no foreign key: accounts outlive members"
        ),
        sa.Column(
            "month", sa.Text(), nullable=False, comment="'2026-11', as the site counts it"
        ),
        sa.Column("present_us", sa.BigInteger(), nullable=False, comment="microseconds inside"),
        sa.Column(
            "inside_at",
            sa.BigInteger(),
            nullable=True,
            comment="they were inside when the count ended then",
        ),
        sa.CheckConstraint("present_us >= 0", name=op.f("ck_presence_month_not_below_zero")),
        sa.PrimaryKeyConstraint("site", "member", "month", name=op.f("pk_presence_month")),
        comment="How long nomads were inside, of what the ledger has forgotten since.",
    )
    op.add_column(
        "event_source",
        sa.Column(
            "failing_since",
            sa.BigInteger(),
            nullable=True,
            comment="since when it can't be read",
        ),
    )
    op.add_column(
        "event_source",
        sa.Column(
            "told_at", sa.BigInteger(), nullable=True, comment="when somebody was told so"
        ),
    )
