"""The tokens that badges of level L1 have shown."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "badge_token",
        sa.Column("badge", sa.Text(), nullable=False),
        sa.Column("counter", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column(
            "token",
            sa.Text(),
            nullable=True,
            comment="as it was read, 32 hex digits; none once it is forgotten",
        ),
        sa.Column(
            "request",
            sa.Text(),
            nullable=True,
            comment="id of the visit; none once it is forgotten",
        ),
        sa.Column(
            "seen_at", sa.BigInteger(), nullable=True, comment="when; none once it is forgotten"
        ),
        sa.ForeignKeyConstraint(
            ["badge"],
            ["badge.digest"],
            name=op.f("fk_badge_token_badge"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("badge", "counter", name=op.f("pk_badge_token")),
        comment="The newest tokens that badges of level L1 have shown: see access/tokens.py.",
    )
