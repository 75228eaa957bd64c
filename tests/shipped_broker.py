"""A real mosquitto with the configuration that goes onto the broker, and certificates made here."""

import contextlib
import datetime as dt
import getpass
import os
import shutil
import socket
import ssl
import subprocess
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

import paho.mqtt.client as paho
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from tests.mqtt_peer import WAIT_S, MqttPeer, wait_for

FIRMWARE = Path(__file__).parents[1] / "firmware_config"
DAY = dt.timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """A certificate and its key, as files."""

    certificate: x509.Certificate
    certificate_file: Path
    key_file: Path


class Authority:
    """A certificate authority that exists for one test."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder, self._name = folder / name, _named(f"gardien {name}")
        self._folder.mkdir()
        self._key = ec.generate_private_key(ec.SECP256R1())
        self.file = self._folder / "ca.crt"
        builder = self._builder(self._name, self._key.public_key())
        builder = builder.add_extension(
            x509.BasicConstraints(ca=True, path_length=0), critical=True
        )
        self.file.write_bytes(_pem(builder.sign(self._key, hashes.SHA256())))

    def issue(self, name: str, *, days: float = 30, since: float = 60) -> Identity:
        """Issue a certificate with this common name.

        Args:
            name: the common name.
            days: for how many from now on it is valid; with negative ones it has run out.
            since: since how many days ago; with negative ones it is not valid yet.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        builder = self._builder(_named(name), key.public_key(), days, since)
        hosts = [x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1"))]
        builder = builder.add_extension(x509.SubjectAlternativeName(hosts), critical=False)
        certificate = builder.sign(self._key, hashes.SHA256())
        number = certificate.serial_number
        files = self._folder / f"{number}.crt", self._folder / f"{number}.key"
        files[0].write_bytes(_pem(certificate))
        files[1].write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        return Identity(certificate=certificate, certificate_file=files[0], key_file=files[1])

    def write_revocations(self, path: Path, *revoked: Identity) -> None:
        """Write the list of certificates that are no longer valid."""
        now = dt.datetime.now(dt.UTC)
        builder = x509.CertificateRevocationListBuilder(self._name, now - DAY, now + DAY)
        for identity in revoked:
            entry = x509.RevokedCertificateBuilder(identity.certificate.serial_number, now - DAY)
            builder = builder.add_revoked_certificate(entry.build())
        signed = builder.sign(self._key, hashes.SHA256())
        path.write_bytes(signed.public_bytes(serialization.Encoding.PEM))

    def _builder(
        self,
        subject: x509.Name,
        key: ec.EllipticCurvePublicKey,
        days: float = 30,
        since: float = 60,
    ) -> x509.CertificateBuilder:
        now = dt.datetime.now(dt.UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - since * DAY)
            .not_valid_after(now + days * DAY)
        )


class TlsPeer(MqttPeer):
    """A client with a certificate; not in when it does not get in."""

    def __init__(
        self,
        port: int,
        authority: Authority,
        identity: Identity | None,
        *,
        client_id: str = "anything",
        will: tuple[str, bytes] | None = None,
    ) -> None:
        client = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id=client_id,
            protocol=MQTTProtocolVersion.MQTTv5,
            reconnect_on_failure=False,
        )
        client.tls_set_context(_context(authority, identity))
        super().__init__(client, "localhost", port, will=will)


class ShippedBroker:
    """mosquitto with `firmware_config/mosquitto/`, paths and port put in place."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.authority = Authority(folder, "ca")
        self.port = _free_port()
        self._peers = contextlib.ExitStack()
        own = self.authority.issue("localhost")
        shutil.copy(self.authority.file, folder / "ca.crt")
        shutil.copy(own.certificate_file, folder / "broker.crt")
        shutil.copy(own.key_file, folder / "broker.key")
        shutil.copy(FIRMWARE / "mosquitto" / "acl", folder / "acl")
        self.revoke()
        (folder / "mosquitto.conf").write_text(self._config(), encoding="utf-8")
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        program = shutil.which("mosquitto") or "/usr/sbin/mosquitto"
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [program, "-c", str(self.folder / "mosquitto.conf")], stdout=log, stderr=log
            )
        assert wait_for(self._accepts), (self.folder / "log").read_text(encoding="utf-8")

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(WAIT_S)
            self._process = None

    def revoke(self, *identities: Identity) -> None:
        self.authority.write_revocations(self.folder / "ca.crl", *identities)

    def peer(self, identity: Identity | str | None, **options: object) -> TlsPeer:
        """Connect with a certificate, given or made for a name, or with none."""
        if isinstance(identity, str):
            identity = self.authority.issue(identity)
        made = TlsPeer(self.port, self.authority, identity, **options)  # type: ignore[arg-type]
        return self._peers.enter_context(made)

    def close(self) -> None:
        self._peers.close()
        self.stop()

    def _config(self) -> str:
        text = (FIRMWARE / "mosquitto" / "gardien.conf").read_text(encoding="utf-8")
        text = text.replace("/etc/mosquitto/gardien", str(self.folder))
        text = text.replace("listener 8883\n", f"listener {self.port} 127.0.0.1\n")
        # What Debian's own mosquitto.conf says beside ours.
        user = getpass.getuser() if os.getuid() else "root"
        return f"user {user}\npersistence_location {self.folder}/\n{text}"

    def _accepts(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, (self.folder / "log").read_text(encoding="utf-8")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
            return True
        return False


def _context(authority: Authority, identity: Identity | None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(authority.file))
    if identity is not None:
        context.load_cert_chain(identity.certificate_file, identity.key_file)
    return context


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])
