"""Log-ins of the dashboard, and who looked at other people's records."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make both tables."""
    op.create_table(
        "web_session",
        sa.Column(
            "digest", sa.Text(), nullable=False, comment="SHA-256 of the browser's token, hex"
        ),
        sa.Column("email", sa.Text(), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("seen", sa.BigInteger(), nullable=False, comment="to the nearest five minutes"),
        sa.ForeignKeyConstraint(
            ["email"],
            ["account.email"],
            name=op.f("fk_web_session_email"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_web_session")),
        comment="Log-ins of the dashboard that are open.",
    )
    op.create_index(op.f("ix_web_session_email"), "web_session", ["email"], unique=False)
    op.create_table(
        "look",
        sa.Column("id", _BIG, autoincrement=True, nullable=False),
        sa.Column("site", sa.Text(), nullable=False),
        sa.Column("member", sa.Text(), nullable=False, comment="id of who looked; never a name"),
        sa.Column("what", sa.Text(), nullable=False, comment="the page: 'roll-call'"),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_look")),
        comment="Who looked at other people's records.",
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_look_site_at"), "look", ["site", "at"], unique=False)
