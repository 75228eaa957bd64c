"""What Alembic runs to migrate: on the connection, and in the transaction, that it was given."""

from alembic import context

# Tables of other modules belong to the schema once these are loaded.
from server import api_requests, api_tokens, calendar_addresses, looks, sessions
from server.schema import metadata

__all__ = ["api_requests", "api_tokens", "calendar_addresses", "looks", "sessions"]

_given = context.config.attributes

context.configure(
    connection=_given["connection"],
    target_metadata=metadata,
    on_version_apply=lambda **_: _given["advance"](1),
)
context.run_migrations()
