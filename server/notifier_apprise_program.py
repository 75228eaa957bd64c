"""The process that sends messages through Apprise. The only module that imports apprise.

Reads one errand on its standard input; its exit status says how it went.
"""

import sys

import apprise
import msgspec

from server.notifier_apprise import AWAY, NO_ADDRESS, SENT, Errand


def main() -> int:
    """Do one errand; blocks until its messages are handed over.

    Returns:
        `SENT`, `AWAY` or `NO_ADDRESS`.
    """
    errand = msgspec.json.decode(sys.stdin.buffer.read(), type=Errand)
    to = apprise.Apprise()
    if not to.add(errand.address):
        return NO_ADDRESS
    for letter in errand.letters:
        kind = apprise.NotifyType.FAILURE if letter.is_urgent else apprise.NotifyType.WARNING
        if not to.notify(title=letter.title, body=letter.text, notify_type=kind):
            return AWAY
    return SENT


if __name__ == "__main__":
    sys.exit(main())
