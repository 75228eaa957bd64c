"""What doors are still to be told."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "door_order",
        sa.Column("id", sa.Text(), nullable=False, comment="of the command, UUID version 7"),
        sa.Column("site", sa.Text(), nullable=False),
        sa.Column("door", sa.Text(), nullable=False),
        sa.Column("do", sa.Text(), nullable=False),
        sa.Column("made_by", sa.Text(), nullable=False, comment="id of who ordered it, or 'server'"),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("expires", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_door_order")),
        comment="What doors are still to be told. A row goes when the door did it, or it is over.",
    )
    op.create_index(op.f("ix_door_order_site"), "door_order", ["site"])
