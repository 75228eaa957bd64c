"""The policy as it travels to the doors: JSON, signed by the server.

The signature is Ed25519 (RFC 8032) over the `body` as it stands in the message. Signing and
verifying are passed in, so that this module needs no cryptography of its own.
"""

from base64 import b64decode, b64encode
from collections.abc import Callable
from datetime import datetime
from typing import Final

import msgspec

from access.messages import PolicySnapshot
from access.model import Policy

_encoder: Final = msgspec.json.Encoder()

Sign = Callable[[bytes], bytes]
Verify = Callable[[bytes, bytes], bool]
"""Takes the signature and what is signed; says whether it is the server's."""


class SnapshotError(ValueError):
    """A snapshot that must not be used."""


def seal(policy: Policy, sign: Sign) -> PolicySnapshot:
    """Write and sign a policy."""
    body = b64encode(_encoder.encode(policy))
    return PolicySnapshot(
        version=policy.version,
        site=policy.site,
        issued=policy.issued,
        relies_until=policy.relies_until,
        body=body.decode("ascii"),
        sig=b64encode(sign(body)).decode("ascii"),
    )


def unseal(snapshot: PolicySnapshot, verify: Verify) -> Policy:
    """Check a snapshot's signature and read its policy.

    What counts is what is signed: the envelope's fields are checked against it.

    Raises:
        SnapshotError: the signature is not the server's, the body is not a policy, or the envelope
            says something else than the body.
    """
    body = snapshot.body.encode("utf-8")
    try:
        signature = b64decode(snapshot.sig, validate=True)
    except ValueError as error:
        raise SnapshotError("the policy's signature is not base64") from error
    if not verify(signature, body):
        raise SnapshotError("the policy was not signed by this site's server")
    try:
        policy = msgspec.json.decode(b64decode(body, validate=True), type=Policy)
    except (msgspec.DecodeError, ValueError) as error:
        raise SnapshotError(f"the policy's body can't be read: {error}") from error
    if _named(policy) != _named(snapshot):
        raise SnapshotError("the policy's envelope and body differ in version, site or times")
    return policy


def _named(policy: Policy | PolicySnapshot) -> tuple[int, str, datetime, datetime]:
    return policy.version, policy.site, policy.issued, policy.relies_until
