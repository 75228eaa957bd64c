"""The MQTT link of a program whose own loop does the link's work, in one thread.

A message that is handed from paho's thread to another one, and its answer back, waits twice for the
interpreter to change threads: that is longer than deciding takes. Here the loop that handles what
comes reads it, and what it sends is written at once. It uses paho's calls for a loop of one's own:
https://eclipse.dev/paho/files/paho.mqtt.python/html/client.html (external event loop).
"""

import logging
import queue
import select
import socket
import threading
import time
from typing import Final

import paho.mqtt.client as paho
from paho.mqtt.enums import MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.reasoncodes import ReasonCode

from runtime.link import Outgoing
from runtime.link_paho import RETRY_FIRST_S, RETRY_LAST_S, PahoLink

_log = logging.getLogger(__name__)

_MOST_READS: Final = 200
_MOST_WAITING: Final = 1_000


class DrivenPahoLink(PahoLink):
    """A connection to one broker that works while `wait` is called, and mends itself meanwhile.

    `wait` is called by one thread alone, which may send at once; what others send goes out at the
    next `wait`. So does the acknowledgement of what has come: by then it is done with, and whoever
    waits for an answer has not waited for it. Arguments as for `PahoLink`.
    """

    # The loop stands still for as long while the broker does not answer at all.
    connect_s = 3.0
    _owner: int | None = None
    _retry_at: float = 0.0
    _retry_s: float = RETRY_FIRST_S
    _is_outdated: bool = False

    def wait(self, wait_s: float) -> None:
        """Send and receive; blocks up to `wait_s` seconds for something to come.

        And longer, up to some seconds, where a connection has to be made and nobody answers.
        """
        self._owner = threading.get_ident()
        if self._is_outdated:
            self._is_outdated, self._retry_at = False, 0.0
            self._speak_older_version()
        if self._client.socket() is None:
            self._connect_again(wait_s)
            return
        self._acknowledge()
        self._send_for_others()
        sock = self._client.socket()
        if isinstance(sock, socket.socket):  # and was not lost in sending
            self._read(sock, wait_s)
        if self._client.want_write():
            self._client.loop_write()
        self._client.loop_misc()

    def send(self, message: Outgoing) -> bool:
        """Send a message with QoS 1, if the broker is in reach; does not block."""
        if threading.get_ident() == self._owner:
            return super().send(message)
        if not self.is_up or self._others.full():
            return False
        self._others.put(message)
        return True

    def _start(self, client: paho.Client) -> None:
        del client  # it works when it is told to
        self._others: queue.Queue[Outgoing] = queue.Queue(maxsize=_MOST_WAITING)

    def _stop(self, client: paho.Client) -> None:
        # The goodbye is written already, but for what the network would not take.
        client.loop_write()

    def _fall_back(self, refused: paho.Client) -> None:
        self._is_outdated = refused is self._client

    def _prepare(self, version: MQTTProtocolVersion) -> paho.Client:
        self._unacknowledged: list[paho.MQTTMessage] = []
        client = super()._prepare(version)
        client.manual_ack_set(on=True)
        return client

    def _disconnected(
        self, client: paho.Client, data: object, flags: object, code: ReasonCode, props: object
    ) -> None:
        # On another connection the broker does not know what came on this one.
        self._unacknowledged.clear()
        super()._disconnected(client, data, flags, code, props)

    def _message(self, client: paho.Client, data: object, message: paho.MQTTMessage) -> None:
        self._unacknowledged.append(message)
        super()._message(client, data, message)

    def _acknowledge(self) -> None:
        due, self._unacknowledged = self._unacknowledged, []
        for message in due:
            self._client.ack(message.mid, message.qos)

    def _read(self, sock: socket.socket, wait_s: float) -> None:
        """Read what there is, at most so many times."""
        client = self._client
        for turn in range(_MOST_READS):
            is_waiting = bool(getattr(sock, "pending", int)())  # of TLS: read and not taken yet
            patience_s = 0.0 if turn or is_waiting else wait_s
            writers = [sock] if client.want_write() else []
            readable, _, _ = select.select([sock], writers, [], patience_s)
            if not readable and not is_waiting:
                return
            if client.loop_read() != MQTTErrorCode.MQTT_ERR_SUCCESS or client.socket() is not sock:
                return

    def _send_for_others(self) -> None:
        for _ in range(self._others.qsize()):
            super().send(self._others.get_nowait())

    def _connect_again(self, wait_s: float) -> None:
        left_s = self._retry_at - time.monotonic()
        if left_s > 0:
            time.sleep(min(left_s, wait_s))
            return
        try:
            self._client.reconnect()
        except OSError as error:
            _log.debug("the broker does not answer: %s", error)
            self._unreachable(error)
        self._retry_at = time.monotonic() + self._retry_s
        self._retry_s = min(2 * self._retry_s, RETRY_LAST_S)

    def _subscribed(self, *_: object) -> None:
        self._retry_s = RETRY_FIRST_S
        super()._subscribed()
