"""A door unit's certificate: its key, its request, and the signature of the house's own authority.

Certificates follow RFC 5280; the common name is the client's name to the broker.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from runtime.trust import CertificateError

MOST_NAME: Final = 64
"""The longest common name, RFC 5280, appendix A.1 (ub-common-name)."""

_BEFORE: Final = timedelta(hours=1)
"""How far back a certificate starts, for clocks that are a little behind."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """A new private key with what is known of its certificate, all PEM.

    Attributes:
        key: the private key; for its owner alone.
        certificate: signed by the authority; None if it has yet to be signed.
        request: to be signed by the authority (RFC 2986); None if it has been.
    """

    key: bytes
    certificate: bytes | None = None
    request: bytes | None = None


def requested(name: str) -> Identity:
    """Make a key and the request for its certificate.

    Args:
        name: the client's name to the broker, at most 64 characters.

    Raises:
        CertificateError: the name is too long.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    request = x509.CertificateSigningRequestBuilder(_name(name)).sign(key, hashes.SHA256())
    return Identity(key=_pem(key), request=request.public_bytes(Encoding.PEM))


def signed(name: str, ca_file: Path, ca_key_file: Path, *, now: datetime, days: int) -> Identity:
    """Make a key and its certificate, signed by the authority; blocks for the disk.

    Args:
        name: the client's name to the broker, at most 64 characters.
        ca_file: the authority's certificate, PEM.
        ca_key_file: its private key, PEM, without a passphrase.
        now: the time.
        days: how long the certificate is good for, 1 or more; never longer than the authority's.

    Raises:
        CertificateError: the authority can't be used, or the name is too long.
    """
    authority, ca_key = _authority(ca_file, ca_key_file)
    if authority.not_valid_after_utc <= now:
        raise CertificateError(f"{ca_file} ran out on {authority.not_valid_after_utc:%Y-%m-%d}")
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = (
        x509.CertificateBuilder()
        .subject_name(_name(name))
        .issuer_name(authority.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BEFORE)
        .not_valid_after(min(now + timedelta(days=days), authority.not_valid_after_utc))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False
        )
        .sign(ca_key, hashes.SHA256())
    )
    return Identity(key=_pem(key), certificate=certificate.public_bytes(Encoding.PEM))


def check_certificate(path: Path) -> bytes:
    """Read a certificate's file and give its bytes; blocks for the disk.

    Raises:
        CertificateError: it holds no certificate in PEM.
    """
    content = path.read_bytes()
    try:
        x509.load_pem_x509_certificate(content)
    except ValueError as error:
        raise CertificateError(f"{path} is not a certificate in PEM") from error
    return content


def _name(name: str) -> x509.Name:
    if len(name) > MOST_NAME:
        raise CertificateError(
            f"{name} has {len(name)} characters, and a certificate's name at most {MOST_NAME}; "
            "use a password, or a shorter id"
        )
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _authority(
    ca_file: Path, ca_key_file: Path
) -> tuple[x509.Certificate, EllipticCurvePrivateKey | RSAPrivateKey]:
    certificate = x509.load_pem_x509_certificate(check_certificate(ca_file))
    try:
        key = load_pem_private_key(ca_key_file.read_bytes(), password=None)
    except (ValueError, TypeError) as error:
        raise CertificateError(
            f"{ca_key_file} is not a private key in PEM without a passphrase; leave --ca-key out "
            "to get a request that you sign yourself"
        ) from error
    if not isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
        raise CertificateError(f"{ca_key_file} is neither an EC nor an RSA key")
    if key.public_key() != certificate.public_key():
        raise CertificateError(f"{ca_key_file} is not the key of {ca_file}")
    return certificate, key


def _pem(key: EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
