"""What Alembic runs to migrate: on the connection, and in the transaction, that it was given."""

from alembic import context

# Tables of other modules belong to the schema once these are loaded.
from server import api_requests, api_tokens, calendar_addresses, sessions
from server.schema import metadata

__all__ = ["api_requests", "api_tokens", "calendar_addresses", "sessions"]

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()
