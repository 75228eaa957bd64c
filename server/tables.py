"""Every table of the schema: those of other modules belong to it once these are loaded."""

from server import api_requests, api_tokens, calendar_addresses, looks, sessions
from server.schema import metadata

__all__ = [
    "api_requests",
    "api_tokens",
    "calendar_addresses",
    "looks",
    "metadata",
    "sessions",
]
