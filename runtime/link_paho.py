"""The MQTT link over paho-mqtt.

Speaks MQTT 5, and 3.1.1 with a broker that has no MQTT 5. Nagle's algorithm is off, and
acknowledgements are not delayed: with both on, a QoS 1 round trip takes 44 ms instead of 0.2.
"""

import contextlib
import logging
import socket
import ssl
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Final, Self

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from runtime.link import Incoming, LinkDown, LinkUp, OnLink, Outgoing, Wish
from runtime.message_properties import MessageProperties
from runtime.settings import MqttSettings, read_secret
from runtime.trust import is_valid_now, why_not_ours, why_not_theirs

_log = logging.getLogger(__name__)

KEEPALIVE_S: Final = 15
_IN_FLIGHT: Final = 200
RETRY_FIRST_S: Final = 1
RETRY_LAST_S: Final = 10
_COMPLAIN_EVERY_S: Final = 60.0
_NO_SUCH_VERSION: Final = "Unsupported protocol version"


class LinkError(OSError):
    """The link can't be set up as asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """How to log in to the broker: by certificate, or by name and password.

    Attributes:
        password: never shown; the representation leaves it out.
    """

    username: str | None = None
    password: str | None = None
    ca_file: Path | None = None
    certificate_file: Path | None = None
    key_file: Path | None = None

    def __repr__(self) -> str:
        return f"Login(username={self.username!r}, certificate_file={self.certificate_file!r})"


def login_from(settings: MqttSettings) -> Login:
    """Read what it takes to log in to the broker; blocks for the disk.

    Raises:
        SettingsError: the password's file can't be read.
    """
    return Login(
        username=settings.username,
        password=read_secret(settings.password_file) if settings.password_file else None,
        ca_file=settings.ca_file,
        certificate_file=settings.certificate_file,
        key_file=settings.key_file,
    )


class PahoLink:
    """A connection to one broker; opens at once and mends itself until it is closed.

    Args:
        host: the broker's host.
        port: its port.
        client_id: unique at the broker; with certificates it must be the certificate's name.
        login: how to log in.
        wishes: what to subscribe to at each connection.
        will: what the broker says when this program is gone without a goodbye.
        on_event: called with each event, from the link's thread.

    Attributes:
        connect_s: how long a try to connect may take, in seconds.
    """

    connect_s: ClassVar[float] = 5.0

    def __init__(
        self,
        *,
        host: str,
        port: int,
        client_id: str,
        login: Login,
        wishes: Sequence[Wish],
        will: Outgoing | None,
        on_event: OnLink,
    ) -> None:
        self._host, self._port = host, port
        self._client_id, self._login = client_id, login
        self._wishes, self._will = tuple(wishes), will
        self._on_event = on_event
        self._is_up = False
        self._is_closed = False
        self._has_been_up = False
        self._is_refused = False
        self._complaint, self._complained_at = "", float("-inf")
        self._lock = threading.Lock()
        self._client = self._prepare(MQTTProtocolVersion.MQTTv5)
        # Last: from here on the client's thread calls us, and may be hung up on at once.
        self._start(self._client)

    @property
    def is_up(self) -> bool:
        """Whether the broker is in reach."""
        return self._is_up

    @property
    def has_mqtt5(self) -> bool:
        """Whether MQTT 5 is spoken."""
        return self._client.protocol == MQTTProtocolVersion.MQTTv5

    def send(self, message: Outgoing) -> bool:
        """Send a message with QoS 1, if the broker is in reach; does not block."""
        if not self._is_up:
            return False
        info = self._client.publish(
            message.topic,
            message.payload,
            qos=1,
            retain=message.retain,
            properties=MessageProperties(message) if self.has_mqtt5 else None,
        )
        return info.rc == paho.MQTT_ERR_SUCCESS

    def close(self) -> None:
        """Say goodbye and stop the thread. Closing twice is harmless."""
        with self._lock:
            if self._is_closed:
                return
            self._is_closed = True
        self._client.disconnect()
        self._stop(self._client)
        self._is_up = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.close()

    def _start(self, client: paho.Client) -> None:
        """Let a client connect, and work from now on."""
        client.loop_start()

    def _stop(self, client: paho.Client) -> None:
        client.loop_stop()

    def _prepare(self, version: MQTTProtocolVersion) -> paho.Client:
        is_5 = version is MQTTProtocolVersion.MQTTv5
        client = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id=self._client_id,
            protocol=version,
            clean_session=None if is_5 else True,
        )
        with _as_link_error(self._host, self._port):
            self._secure(client)
        if self._will is not None:
            client.will_set(self._will.topic, self._will.payload, qos=1, retain=self._will.retain)
        client.connect_timeout = self.connect_s
        client.max_inflight_messages_set(_IN_FLIGHT)
        client.reconnect_delay_set(RETRY_FIRST_S, RETRY_LAST_S)
        client.on_socket_open = _answer_at_once
        client.on_publish = _acknowledge_at_once
        client.on_connect = self._connected
        client.on_connect_fail = self._not_connected
        client.on_disconnect = self._disconnected
        client.on_subscribe = self._subscribed
        client.on_message = self._message
        if is_5:
            client.connect_async(self._host, self._port, keepalive=KEEPALIVE_S, clean_start=True)
        else:
            client.connect_async(self._host, self._port, keepalive=KEEPALIVE_S)
        return client

    def _secure(self, client: paho.Client) -> None:
        login = self._login
        if login.username is not None:
            client.username_pw_set(login.username, login.password)
        if login.ca_file is not None:
            context = ssl.create_default_context(cafile=str(login.ca_file))
            context.minimum_version = ssl.TLSVersion.TLSv1_2
            if login.certificate_file is not None and login.key_file is not None:
                context.load_cert_chain(login.certificate_file, login.key_file)
            client.tls_set_context(context)

    def _connected(
        self, client: paho.Client, _data: object, _flags: object, code: ReasonCode, _props: object
    ) -> None:
        if code.is_failure:
            self._is_refused = code != _NO_SUCH_VERSION
            _log.warning("the broker refuses the connection: %s", code)
            return
        self._has_been_up = True
        filters = [self._filter(client, wish) for wish in self._wishes]
        if client.protocol == MQTTProtocolVersion.MQTTv5:
            client.subscribe([(topic, SubscribeOptions(qos=1)) for topic in filters])
        else:
            client.subscribe([(topic, 1) for topic in filters])

    def _subscribed(self, *_: object) -> None:
        self._is_up = True
        self._on_event(LinkUp())

    def _disconnected(
        self, client: paho.Client, _data: object, _flags: object, code: ReasonCode, _props: object
    ) -> None:
        was_up, self._is_up = self._is_up, False
        if self._is_closed:
            return
        if was_up:
            self._on_event(LinkDown(why=str(code)))
            return
        certificate = self._login.certificate_file
        if certificate is not None:
            self._complain(why_not_ours(certificate))
        is_ours_good = certificate is None or is_valid_now(certificate)
        if self.has_mqtt5 and not self._has_been_up and not self._is_refused and is_ours_good:
            # Said by a broker without MQTT 5: it hangs up on the first packet.
            self._fall_back(client)

    def _not_connected(self, *_: object) -> None:
        """There was nobody to talk to; paho calls this where it handles the error, and hides it."""
        error = sys.exc_info()[1]
        if isinstance(error, OSError):
            self._unreachable(error)

    def _unreachable(self, error: OSError) -> None:
        why = why_not_theirs(error, self._host)
        if why is not None:
            self._complain(why)

    def _complain(self, why: str) -> None:
        """Log it, the same once a minute: another reason must not wait for the first one's time."""
        if why != self._complaint or time.monotonic() >= self._complained_at + _COMPLAIN_EVERY_S:
            self._complaint, self._complained_at = why, time.monotonic()
            _log.error("%s", why)

    def _fall_back(self, refused: paho.Client) -> None:
        """Speak the older version: in a thread, since a client's own can't stop it."""
        threading.Thread(target=self._replace, args=(refused,), daemon=True).start()

    def _replace(self, refused: paho.Client) -> None:
        refused.loop_stop()
        with self._lock:
            if not self._is_closed and self._client is refused:
                self._speak_older_version()
                self._start(self._client)

    def _speak_older_version(self) -> None:
        _log.info("the broker does not take MQTT 5; trying 3.1.1")
        self._client = self._prepare(MQTTProtocolVersion.MQTTv311)

    def _message(self, client: paho.Client, _data: object, message: paho.MQTTMessage) -> None:
        _acknowledge_at_once(client)
        self._on_event(
            Incoming(
                topic=message.topic,
                payload=bytes(message.payload),
                is_retained=message.retain,
                correlation=getattr(message.properties, "CorrelationData", None),
                arrived=time.monotonic(),
            )
        )

    def _filter(self, client: paho.Client, wish: Wish) -> str:
        if wish.shared_in is None or client.protocol != MQTTProtocolVersion.MQTTv5:
            return wish.topic
        return f"$share/{wish.shared_in}/{wish.topic}"


def _answer_at_once(_client: paho.Client, _data: object, sock: object) -> None:
    if isinstance(sock, socket.socket):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _acknowledge_at_once(client: paho.Client, *_: object) -> None:
    """Turn delayed acknowledgement off; the kernel forgets it, so it is said each time."""
    sock = client.socket()
    if isinstance(sock, socket.socket) and hasattr(socket, "TCP_QUICKACK"):
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)


@contextlib.contextmanager
def _as_link_error(host: str, port: int) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError) as error:
        raise LinkError(f"can't set up the link to {host}:{port}: {error}") from error
