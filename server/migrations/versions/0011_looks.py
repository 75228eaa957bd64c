"""With what right, at whose records and why somebody looked."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns; of looks that were noted before, nobody knows any more."""
    op.add_column(
        "look",
        sa.Column(
            "role",
            sa.Text(),
            nullable=True,
            comment="'staff', 'guardian' or 'operator'; none in old rows",
        ),
    )
    op.add_column(
        "look",
        sa.Column(
            "about",
            sa.Text(),
            nullable=True,
            comment="id of whom it was about; none where it was about everybody",
        ),
    )
    op.add_column(
        "look",
        sa.Column(
            "reason",
            sa.Text(),
            nullable=True,
            comment="'duty', 'refusal', 'asked', or words without a name",
        ),
    )
    op.create_index(op.f("ix_look_about"), "look", ["about"])
