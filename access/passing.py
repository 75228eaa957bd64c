"""How long a grant outlives the lock: one figure for the door and for the server."""

from datetime import timedelta
from typing import Final

OPENED_LATE: Final = timedelta(seconds=1)
"""How long after the lock has locked again an opening still follows from the grant before it."""
