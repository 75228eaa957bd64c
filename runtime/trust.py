"""Why a broker and a client of it do not trust each other, in words that say what to do."""

import ssl
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509


class CertificateError(ValueError):
    """A certificate or its key can't be read or used."""


def validity_of(certificate: bytes, name: str) -> tuple[datetime, datetime]:
    """Say from when until when a certificate is good, UTC.

    Args:
        certificate: PEM; of several, the first.
        name: what it is called, for people.

    Raises:
        CertificateError: it is none.
    """
    try:
        found = x509.load_pem_x509_certificate(certificate)
    except ValueError as error:
        raise CertificateError(f"{name} is not a certificate in PEM") from error
    return found.not_valid_before_utc, found.not_valid_after_utc


def is_valid_now(path: Path) -> bool:
    """Whether a certificate has begun and not run out, by this machine's clock.

    Blocks for the disk. One that can't be read counts as valid: others will say what is wrong.
    """
    try:
        start, end = validity_of(path.read_bytes(), str(path))
    except (OSError, CertificateError):
        return True
    return start <= datetime.now(UTC) < end


def why_not_theirs(error: OSError, host: str) -> str | None:
    """Say why we do not trust the broker; None where it is not a matter of trust."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return (
            f"the broker's certificate is not trusted: {error.verify_message}; look at this "
            f"machine's clock, at ca_file, and at the certificate that {host} has"
        )
    if isinstance(error, ssl.SSLError):
        return f"no encrypted connection to {host}: {error}"
    return None


def why_not_ours(path: Path) -> str:
    """Say why a broker may hang up on whoever shows this certificate. Blocks for the disk."""
    told = f"the broker hangs up on us, who show {path}"
    try:
        start, end = validity_of(path.read_bytes(), str(path))
    except (OSError, CertificateError) as error:
        return f"{told}: {error}"
    now = datetime.now(UTC)
    if now >= end:
        return f"{told}: it ran out on {end:%Y-%m-%d at %H:%M} UTC; make it anew"
    if now < start:
        return (
            f"{told}: it is good only from {start:%Y-%m-%d at %H:%M} UTC on; look at this "
            "machine's clock"
        )
    return (
        f"{told}, good until {end:%Y-%m-%d}: it may be revoked, or of an authority that the broker "
        "does not know; its log says which"
    )
