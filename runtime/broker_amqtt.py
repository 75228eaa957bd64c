"""amqtt in a thread of this process: the embedded broker where mosquitto is not installed.

amqtt 0.12 is made for friendly clients. What a lock needs is mended here, by overriding:

- a dead client is never noticed (`handle_read_timeout` is empty), so its last will never comes;
- a login is checked only after the session of that client id has been taken over;
- a last will is published without asking the access list;
- retained messages of everybody's subscriptions are sent to each client that connects;
- a packet may have any size, and a first packet may take for ever; one of MQTT 5 does.
"""

import asyncio
import contextlib
import hmac
import logging
import math
import threading
from collections import UserDict
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Any, Self, cast

from amqtt.adapters import (
    BufferReader,
    ReaderAdapter,
    StreamReaderAdapter,
    StreamWriterAdapter,
    WriterAdapter,
)
from amqtt.broker import Broker as Server
from amqtt.contexts import Action, BrokerConfig, ListenerConfig
from amqtt.errors import AMQTTError
from amqtt.mqtt.connack import NOT_AUTHORIZED, ConnackPacket
from amqtt.mqtt.protocol.broker_handler import BrokerProtocolHandler
from amqtt.session import Session

from runtime.acl import may_publish, may_receive, may_subscribe
from runtime.broker import LOOPBACK, MOST_PACKET_BYTES, BrokerClient, BrokerError

_START_S = 10.0
_STOP_S = 10.0
_FIRST_PACKET_S = 10.0
_MOST_CONNECTIONS = 200
# For a client that is away; more is dropped, and asked for again by the programs themselves.
_MOST_QUEUED = 1000
_TAKEOVER_S = 5.0
_STOP_HANDLER_S = 2.0
# MQTT 3.1.1, 3.1.2.10: a client is gone after one and a half times its keep-alive.
_KEEPALIVE_FACTOR = 1.5
_LENGTH_BITS = 28
# What a new connection brings to a session that was kept.
_KEPT_FROM_CONNECT = (
    "clean_session",
    "keep_alive",
    "username",
    "will_flag",
    "will_message",
    "will_qos",
    "will_retain",
    "will_topic",
)
_LOG = logging.getLogger(__name__)


class AmqttBroker:
    """An amqtt of our own (see `runtime.broker.Broker`). Keeps nothing on disk.

    Args:
        clients: who may log in.
        port: a free TCP port on 127.0.0.1.

    Raises:
        BrokerError: it does not start within 10 s.
    """

    program = "amqtt"

    def __init__(self, *, clients: Sequence[BrokerClient], port: int) -> None:
        self.port = port
        self._clients = {client.name: client for client in clients}
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._started = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="broker-amqtt", daemon=True)
        self._thread.start()
        if not self._started.wait(_START_S) or self._error is not None:
            self.close()
            raise BrokerError(f"amqtt does not start on port {port}: {self._error}")

    @property
    def is_running(self) -> bool:
        """Whether it runs still."""
        return self._thread.is_alive()

    def close(self) -> None:
        """Stop it and wait until it is gone, 10 s at most. Closing twice is harmless."""
        with contextlib.suppress(RuntimeError):  # the loop is closed already
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(_STOP_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
                runner.run(self._serve())
        except Exception as error:  # noqa: BLE001 (told to the thread that waits)
            self._error = error
        finally:
            self._started.set()

    async def _serve(self) -> None:
        server = _Server(self._clients, self.port)
        await server.start()
        self._started.set()
        try:
            await self._stop.wait()
        finally:
            await server.stop()


class _Server(Server):  # type: ignore[misc]  # amqtt ships no types
    """amqtt's broker with our log-in, our access list and its gaps closed."""

    def __init__(self, clients: dict[str, BrokerClient], port: int) -> None:
        bind = f"{LOOPBACK}:{port}"
        listener = ListenerConfig(bind=bind, max_connections=_MOST_CONNECTIONS)
        super().__init__(BrokerConfig(listeners={"default": listener}, plugins={}))
        self._clients = clients
        self._tasks: set[asyncio.Task[None]] = set()
        self._task_of: dict[str, asyncio.Task[None]] = {}
        self._subscriptions = _Subscriptions()
        self._is_stopping = False

    async def stop(self) -> None:
        """Send everybody away, then stop listening."""
        self._is_stopping = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.shutdown()

    async def stream_connected(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, listener_name: str
    ) -> None:
        """Serve one connection; whatever happens on it ends with it."""
        stream = StreamWriterAdapter(writer)
        task = cast("asyncio.Task[None]", asyncio.current_task())
        self._tasks.add(task)
        try:
            await self._client_connected(listener_name, _Reader(reader), stream)
        except Exception:  # noqa: BLE001
            # One client's nonsense must not end as a task that dies unheard.
            _LOG.exception("a connection to the embedded broker failed and was closed")
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _initialize_client_session(
        self, reader: ReaderAdapter, writer: WriterAdapter, remote_address: str, remote_port: int
    ) -> tuple[BrokerProtocolHandler, Session]:
        del remote_address, remote_port  # always this machine
        try:
            # From the packet's own bytes: amqtt takes a CONNECT of MQTT 5 for one of 3.1.1, and
            # would wait for lengths that are none until our patience ends.
            first = BufferReader(await cast("_Reader", reader).read_packet())
            handler, session = await _Handler.init_from_connect(first, writer, self.plugins_manager)
        except Exception as error:  # whatever the bytes do to amqtt's parser is the sender's fault
            raise AMQTTError(f"the first packet is not a good CONNECT: {error!r}") from error
        client = self._clients.get(session.username or "")
        if client is None or not _is_right(client, session.password):
            await ConnackPacket.build(0, NOT_AUTHORIZED).to_stream(writer)
            raise AMQTTError("a login with a wrong name or password was refused")
        # Only now may the session of that name be touched.
        await self._end_other(client.name)
        return handler, await self._session_for(client, session, cast("_Reader", reader))

    async def _client_message_loop(
        self, client_session: Session, handler: BrokerProtocolHandler
    ) -> None:
        await super()._client_message_loop(client_session, handler)
        if client_session.transitions.state == "connected" and not self._is_stopping:
            # amqtt leaves its loop like this after a forbidden topic, and forgets the last will.
            gone = asyncio.get_running_loop().create_future()
            gone.set_result(None)
            await self._handle_disconnect(client_session, handler, gone)

    async def _end_other(self, name: str) -> None:
        """End the connection that this client has already, with its last will."""
        other = self._task_of.get(name)
        self._task_of[name] = cast("asyncio.Task[None]", asyncio.current_task())
        if other is None or other.done():
            return
        with contextlib.suppress(KeyError):
            await self._sessions[name][1].handle_connection_closed()
        _, pending = await asyncio.wait({other}, timeout=_TAKEOVER_S)
        for task in pending:
            task.cancel()

    async def _session_for(self, client: BrokerClient, new: Session, reader: "_Reader") -> Session:
        new.client_id = client.name
        if new.will_flag and not may_publish(client, new.will_topic or ""):
            new.will_flag = False
        new.keep_alive = math.ceil(new.keep_alive * _KEEPALIVE_FACTOR)
        reader.patience_s = new.keep_alive or None
        old, _ = self._sessions.get(client.name, (None, None))
        if old is None or old.clean_session or new.clean_session:
            await self._delete_session(client.name)
            return new
        for name in _KEPT_FROM_CONNECT:
            setattr(old, name, getattr(new, name))
        old.parent = 1
        return old

    async def _authenticate(self, session: Session, _: ListenerConfig) -> bool:
        return session.client_id in self._clients  # checked by `_initialize_client_session`

    async def _topic_filtering(self, session: Session, topic: str, action: Action) -> bool:
        client = self._clients[str(session.client_id)]
        if action is Action.PUBLISH:
            return may_publish(client, topic)
        if action is Action.SUBSCRIBE:
            # No shared subscriptions here; a refusal says so, where silence would not.
            return not topic.startswith("$") and may_subscribe(client, topic)
        return may_receive(client, topic)

    async def _publish_retained_messages_for_subscription(
        self, subscription: tuple[str, int], session: Session
    ) -> None:
        # amqtt calls this at each connection with the filters of all clients.
        holders = self._subscriptions.get(subscription[0], [])
        if any(holder.client_id == session.client_id for holder, _ in holders):
            await super()._publish_retained_messages_for_subscription(subscription, session)

    async def _publish_session_retained_messages(self, session: Session) -> None:
        # What waited for an absent client is not a retained message, and is not marked as one.
        handler = self._get_handler(session)
        while handler is not None and not session.retained_messages.empty():
            message = session.retained_messages.get_nowait()
            with contextlib.suppress(TimeoutError):
                await handler.mqtt_publish(message.topic, message.data, message.qos, retain=False)

    async def _retain_broadcast_message(
        self, broadcast: dict[str, Any], qos: int, target_session: Session
    ) -> None:
        if target_session.retained_messages.qsize() < _MOST_QUEUED:
            await super()._retain_broadcast_message(broadcast, qos, target_session)

    async def _stop_handler(self, handler: BrokerProtocolHandler) -> None:
        # A peer that reads no more would hold us here for as long as its buffer is full.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_STOP_HANDLER_S):
                await super()._stop_handler(handler)

    async def _session_monitor(self) -> None:
        # amqtt's could end a session that has just come back. Ours are few: one for each client.
        return


class _Handler(BrokerProtocolHandler):  # type: ignore[misc]  # likewise
    """amqtt's protocol handler, which notices a dead peer."""

    def handle_read_timeout(self) -> None:
        self._closing = asyncio.ensure_future(self.handle_connection_closed())


class _Reader(StreamReaderAdapter):  # type: ignore[misc]  # likewise
    """A stream that neither waits for ever nor swallows whatever it is sent.

    Attributes:
        patience_s: how long to wait for bytes; None waits for ever.
    """

    def __init__(self, reader: asyncio.StreamReader) -> None:
        super().__init__(reader)
        self.patience_s: float | None = _FIRST_PACKET_S

    async def read(self, n: int = -1) -> bytes:
        if n > MOST_PACKET_BYTES:
            raise OSError(f"a packet of {n} bytes; {MOST_PACKET_BYTES} are allowed")
        async with asyncio.timeout(self.patience_s):
            return bytes(await super().read(n))

    async def read_packet(self) -> bytes:
        """Read one whole packet: its type, its remaining length (MQTT 3.1.1, 2.2.3), the rest."""
        head, length, shift = await self.read(1), 0, 0
        while shift < _LENGTH_BITS:
            digit = await self.read(1)
            head += digit
            length |= (digit[0] & 0x7F) << shift
            shift += 7
            if digit[0] < 0x80:  # noqa: PLR2004 (the bit that says that more follows)
                return head + await self.read(length)
        raise OSError("a remaining length of more than 4 bytes")


class _Subscriptions(UserDict[str, list[tuple[Session, int]]]):
    """Subscriptions by filter, safe to go through while clients come and go.

    amqtt awaits inside its loops over them, and a subscription made meanwhile would end the loop
    with "dictionary changed size during iteration", and the message or client with it.
    """

    def __iter__(self) -> Iterator[str]:
        return iter(list(self.data))


def _is_right(client: BrokerClient, password: str | None) -> bool:
    return hmac.compare_digest(client.password.encode(), (password or "").encode())
