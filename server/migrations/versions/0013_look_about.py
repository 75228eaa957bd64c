"""Whom a roll-call listed, so that each of them sees that somebody looked."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

_GUARD = {
    "sqlite": (
        """CREATE TRIGGER look_about_no_update BEFORE UPDATE ON look_about
BEGIN SELECT RAISE(ABORT, 'whom a roll-call listed is append-only'); END""",
        """CREATE TRIGGER look_about_no_delete BEFORE DELETE ON look_about
WHEN NOT EXISTS (SELECT 1 FROM purge_permit)
BEGIN SELECT RAISE(ABORT, 'whom a roll-call listed is append-only'); END""",
    ),
    "postgresql": (
        """CREATE FUNCTION look_about_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'DELETE' AND EXISTS (SELECT 1 FROM purge_permit) THEN RETURN OLD; END IF;
  RAISE EXCEPTION 'whom a roll-call listed is append-only'
    USING ERRCODE = 'integrity_constraint_violation';
END $$""",
        """CREATE TRIGGER look_about_no_change BEFORE UPDATE OR DELETE ON look_about
FOR EACH ROW EXECUTE FUNCTION look_about_guard()""",
        """CREATE TRIGGER look_about_no_truncate BEFORE TRUNCATE ON look_about
FOR EACH STATEMENT EXECUTE FUNCTION look_about_guard()""",
    ),
}


def upgrade() -> None:
    """Add the table, to which rows are only added; of earlier roll-calls nobody knows any more."""
    op.create_table(
        "look_about",
        sa.Column(
            "look",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=False,
            nullable=False,
        ),
        sa.Column("member", sa.Text(), nullable=False, comment="id of one whom it listed"),
        sa.ForeignKeyConstraint(
            ["look"], ["look.id"], name=op.f("fk_look_about_look"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("look", "member", name=op.f("pk_look_about")),
        comment="Whom a roll-call listed, and so who was inside then.",
    )
    op.create_index(op.f("ix_look_about_member"), "look_about", ["member"])
    for statement in _GUARD[op.get_bind().dialect.name]:
        op.execute(statement)
