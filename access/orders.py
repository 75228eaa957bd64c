"""What of a command is signed, and how it is made and checked.

The signature covers the site and the door too, so that a command for one door is none for another.
Signing and verifying are passed in, as in `access.snapshot`.
"""

from base64 import b64decode, b64encode
from typing import Final

import msgspec

from access.ids import DoorId, SiteId
from access.instants import to_rfc3339
from access.messages import Command
from access.snapshot import Sign, Verify

_canonical: Final = msgspec.json.Encoder(order="deterministic")


class CommandError(ValueError):
    """A command that must not be done."""


def signed_part(command: Command, site: SiteId, door: DoorId) -> bytes:
    """Give what is signed: canonical JSON (sorted keys, no spaces) of the command without `sig`.

    `site` and `door` are added as fields; times are written as RFC 3339 in UTC with `Z`.
    """
    fields = {
        "id": command.id,
        "at": to_rfc3339(command.at),
        "expires": to_rfc3339(command.expires),
        "do": command.do,
        "by": command.by,
        "site": site,
        "door": door,
    }
    return _canonical.encode(fields)


def sign_command(command: Command, site: SiteId, door: DoorId, sign: Sign) -> Command:
    """Give the command with the server's signature in place of whatever `sig` held."""
    signature = b64encode(sign(signed_part(command, site, door))).decode("ascii")
    return msgspec.structs.replace(command, sig=signature)


def check_command(command: Command, site: SiteId, door: DoorId, verify: Verify) -> None:
    """Check that the server signed this command, for this very door.

    Raises:
        CommandError: it did not.
    """
    try:
        signature = b64decode(command.sig, validate=True)
    except ValueError as error:
        raise CommandError("the command's signature is not base64") from error
    if not verify(signature, signed_part(command, site, door)):
        raise CommandError("the command was not signed by this site's server for this door")
