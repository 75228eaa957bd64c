"""Who looked at other people's records is only ever added to, and purged when its time has come."""

from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_GUARD = {
    "sqlite": (
        """CREATE TRIGGER look_no_update BEFORE UPDATE ON look
BEGIN SELECT RAISE(ABORT, 'who looked is append-only'); END""",
        """CREATE TRIGGER look_no_delete BEFORE DELETE ON look
WHEN NOT EXISTS (SELECT 1 FROM purge_permit)
BEGIN SELECT RAISE(ABORT, 'who looked is append-only'); END""",
    ),
    "postgresql": (
        """CREATE FUNCTION look_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'DELETE' AND EXISTS (SELECT 1 FROM purge_permit) THEN RETURN OLD; END IF;
  RAISE EXCEPTION 'who looked is append-only' USING ERRCODE = 'integrity_constraint_violation';
END $$""",
        """CREATE TRIGGER look_no_change BEFORE UPDATE OR DELETE ON look
FOR EACH ROW EXECUTE FUNCTION look_guard()""",
        """CREATE TRIGGER look_no_truncate BEFORE TRUNCATE ON look
FOR EACH STATEMENT EXECUTE FUNCTION look_guard()""",
    ),
}


def upgrade() -> None:
    """Make the table append-only."""
    for statement in _GUARD[op.get_bind().dialect.name]:
        op.execute(statement)
