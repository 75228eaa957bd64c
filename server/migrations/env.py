"""What Alembic runs to migrate: on the connection, and in the transaction, that it was given."""

from alembic import context

from server.tables import metadata

_given = context.config.attributes

context.configure(
    connection=_given["connection"],
    target_metadata=metadata,
    on_version_apply=lambda **_: _given["advance"](1),
)
context.run_migrations()
