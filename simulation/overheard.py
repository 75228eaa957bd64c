"""What door and server log in a simulation: shown to nobody, and looked through (11)."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from runtime.logs import JsonLines

_OURS: Final = ("access", "runtime", "edge", "server")

Look = Callable[[str], None]


class Listener(logging.Handler):
    """Takes each line as the product would write it, with what is added for machines.

    Args:
        look: is shown each line.
    """

    def __init__(self, look: Look) -> None:
        super().__init__()
        self._look = look
        self.setFormatter(JsonLines())

    def emit(self, record: logging.LogRecord) -> None:
        """Show one line."""
        self._look(self.format(record))


@contextmanager
def overheard(look: Look) -> Iterator[None]:
    """Listen to all that the product logs, down to DEBUG; nothing of it is written anywhere."""
    root, ours = logging.root, [logging.getLogger(name) for name in _OURS]
    handlers, levels, disabled = root.handlers[:], [one.level for one in ours], root.manager.disable
    root.handlers[:] = [Listener(look)]
    for one in ours:
        one.setLevel(logging.DEBUG)
    logging.disable(logging.NOTSET)
    try:
        yield
    finally:
        root.handlers[:] = handlers
        for one, level in zip(ours, levels, strict=True):
            one.setLevel(level)
        logging.disable(disabled)
