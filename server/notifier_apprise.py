"""Messages to one address of Apprise (SMS, chat, telephone), sent by a process of its own.

Apprise is 50 MB of memory and half a second once it has loaded its services. A message is rare, so
a process is started for it and ends with it: the server keeps none of that, and a service that
hangs is ended. The address is a secret; it goes to that process on its standard input.
"""

import subprocess
import sys
from pathlib import Path
from typing import Final

import msgspec

from runtime.settings import SettingsError, read_secret
from server.notifier import Letter, NotifierError, NotifierRefusedError

TIMEOUT_S: Final = 60.0
SENT: Final = 0
AWAY: Final = 3
NO_ADDRESS: Final = 4
_PROGRAM: Final = "server.notifier_apprise_program"


class Errand(msgspec.Struct, frozen=True, kw_only=True):
    """What the process is given to do."""

    address: str
    letters: list[Letter]


class AppriseNotifier:
    """Sends messages to one address.

    Args:
        address_file: a file with the address in its first line; read anew for each message.
        timeout_s: how long it may take in all.
    """

    def __init__(self, address_file: Path, timeout_s: float = TIMEOUT_S) -> None:
        self._file, self._timeout_s = address_file, timeout_s

    def send(self, letters: list[Letter]) -> None:
        """Send messages (see `server.notifier.Notifier`)."""
        try:
            errand = Errand(address=read_secret(self._file), letters=letters)
        except SettingsError as error:
            raise NotifierError(f"the address can't be read: {error}") from error
        try:
            done = subprocess.run(  # noqa: S603 (this Python, a module of ours)
                [sys.executable, "-m", _PROGRAM],
                input=msgspec.json.encode(errand),
                capture_output=True,
                timeout=self._timeout_s,
                check=False,
            )
        except (subprocess.TimeoutExpired, OSError) as error:
            raise NotifierError(f"apprise can't send it ({type(error).__name__})") from error
        # What the process wrote is not passed on: apprise tells addresses in it.
        if done.returncode == NO_ADDRESS:
            raise NotifierRefusedError("it is no address that apprise knows; correct address_file")
        if done.returncode == AWAY:
            raise NotifierError("apprise could not deliver it; check the service and the address")
        if done.returncode != SENT:
            raise NotifierError(f"apprise failed ({done.returncode}); is it installed?")
