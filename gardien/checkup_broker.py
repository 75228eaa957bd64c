"""What is to be said of the broker as it is met: whether it answers, and with what certificate."""

import socket
import ssl
from datetime import UTC, datetime
from typing import Final

from gardien.checkup_certificates import judge
from gardien.findings import Findings, bad, good
from runtime.settings import MqttSettings
from runtime.trust import CertificateError, validity_of

_TIMEOUT_S: Final = 3.0


def check_broker(mqtt: MqttSettings, now: datetime) -> Findings:
    """Look whether the broker can be reached. Blocks for the network, 6 s at most.

    Args:
        mqtt: where it is.
        now: the machine's time.
    """
    where = f"{mqtt.host}:{mqtt.port}"
    certificate = None
    try:
        with socket.create_connection((mqtt.host, mqtt.port), _TIMEOUT_S) as connection:
            if mqtt.ca_file is not None:
                certificate = _shake_hands(connection, mqtt)
    except ssl.SSLCertVerificationError as error:
        yield bad(
            en=f"broker: {where} shows a certificate that is not accepted "
            f"({error.verify_message}); see [mqtt] ca_file and host, or give the broker a new one",
            fr=f"courtier MQTT : {where} présente un certificat refusé ({error.verify_message}) ; "
            "voyez ca_file et host sous [mqtt], ou donnez-lui un nouveau certificat",
        )
    except OSError as error:
        why = error.strerror or error
        yield bad(
            en=f"broker: {where} can't be reached ({why}); start it, for instance with "
            "`gardien broker`, or correct [mqtt]",
            fr=f"courtier MQTT : {where} est injoignable ({why}) ; démarrez-le, par exemple avec "
            "`gardien broker`, ou corrigez [mqtt]",
        )
    else:
        yield good(
            en=f"broker: {where} can be reached", fr=f"courtier MQTT : {where} est joignable"
        )
        if certificate is not None:
            yield from _certificate(certificate, where, now)


def _certificate(certificate: bytes, where: str, now: datetime) -> Findings:
    try:
        start, end = validity_of(certificate, where)
    except CertificateError:
        return  # the handshake took it: there is nothing to say against it
    yield judge(where, start, end, now.astimezone(UTC))


def _shake_hands(connection: socket.socket, mqtt: MqttSettings) -> bytes | None:
    """Give the certificate that the broker shows, PEM."""
    context = ssl.create_default_context(cafile=mqtt.ca_file)
    if mqtt.certificate_file is not None:
        context.load_cert_chain(mqtt.certificate_file, mqtt.key_file)
    with context.wrap_socket(connection, server_hostname=mqtt.host) as wrapped:
        shown = wrapped.getpeercert(binary_form=True)
    return ssl.DER_cert_to_PEM_cert(shown).encode("ascii") if shown else None
