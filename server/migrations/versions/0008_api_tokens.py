"""Tokens of the API, and the requests that are done once however often they are sent."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make both tables."""
    op.create_table(
        "api_token",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False, comment="SHA-256 of the token, hex"),
        sa.Column("name", sa.Text(), nullable=False, comment="what for, for people"),
        sa.Column("scopes", sa.Text(), nullable=False, comment="separated by spaces"),
        sa.Column("member", sa.Text(), nullable=True),
        sa.Column(
            "site", sa.Text(), nullable=True, comment="the only site where it counts; none for all"
        ),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column(
            "expires", sa.BigInteger(), nullable=True, comment="does not belong; none for never"
        ),
        sa.Column(
            "last_used", sa.BigInteger(), nullable=True, comment="to the nearest five minutes"
        ),
        sa.Column("revoked_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_token")),
        sa.UniqueConstraint("digest", name=op.f("uq_api_token_digest")),
        sa.ForeignKeyConstraint(
            ["member"], ["member.id"], name=op.f("fk_api_token_member"), ondelete="CASCADE"
        ),
        comment="Tokens with which programs use the API.",
    )
    op.create_index(op.f("ix_api_token_member"), "api_token", ["member"], unique=False)
    op.create_table(
        "api_request",
        sa.Column(
            "digest", sa.Text(), nullable=False, comment="SHA-256 of who asked and their key, hex"
        ),
        sa.Column(
            "asked", sa.Text(), nullable=False, comment="SHA-256 of what they asked for, hex"
        ),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True, comment="none while it is being done"),
        sa.Column("body", sa.Text(), nullable=True, comment="what was answered, JSON"),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_api_request")),
        comment="Requests of programs that are done once, however often they are sent.",
    )
    op.create_index(op.f("ix_api_request_at"), "api_request", ["at"], unique=False)
