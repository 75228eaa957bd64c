"""What comes over MQTT, checked and turned into events: the border of a door unit."""

import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from access import topics
from access.ids import DoorId, MemberId, RequestId, SiteId, WatchId
from access.messages import (
    AccessDecision,
    Acknowledgement,
    Command,
    InvalidMessageError,
    PolicySnapshot,
    ServerState,
    decode,
)
from access.orders import CommandError, check_command
from access.snapshot import SnapshotError, Verify, unseal
from edge.events import CommandReceived, DecisionReceived, PolicyReceived, ServerSeen
from runtime.link import Incoming, Wish

_log = logging.getLogger(__name__)

_LONGEST: Final = 65_536
"""The longest message in bytes, but for a policy."""

_LONGEST_POLICY: Final = 64 * 1024 * 1024
_LOG_EVERY_S: Final = 60.0
_NEVER_KEPT: Final = frozenset({topics.DECISION, topics.ACK, topics.COMMAND})


@dataclass(frozen=True, slots=True, kw_only=True)
class Acknowledged:
    """The server has all records up to number `seq` for good."""

    seq: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """A policy with the message that it came in, as it is to be kept."""

    event: PolicyReceived
    payload: bytes


Mail = DecisionReceived | CommandReceived | ServerSeen | Acknowledged | Snapshot


@dataclass(slots=True, kw_only=True)
class Mailbox:
    """Reads the messages for one door.

    Attributes:
        verify: checks the server's signatures.
        rejected: how many messages were dropped, by topic.
    """

    site: SiteId
    door: DoorId
    verify: Verify
    rejected: Counter[str] = field(default_factory=Counter)
    _logged: dict[str, float] = field(default_factory=dict)

    def wishes(self) -> tuple[Wish, ...]:
        """Give what to subscribe to."""
        own = (topics.DECISION, topics.ACK, topics.COMMAND)
        shared = (topics.POLICY, topics.SERVER)
        return (
            *(Wish(topic=topics.of_door(self.site, self.door, what)) for what in own),
            *(Wish(topic=topics.of_site(self.site, what)) for what in shared),
        )

    def read(self, message: Incoming, mono: float) -> Mail | None:
        """Read one message.

        Returns:
            What it says; None if it is not valid, not for this door, not from this site's server,
            or kept by the broker where that must not be. It is counted and logged then.
        """
        try:
            return self._read(message)
        except (InvalidMessageError, SnapshotError, CommandError, topics.TopicError) as error:
            self._complain(message.topic, str(error), mono)
            return None

    def _read(self, message: Incoming) -> Mail:
        topic = topics.parse(message.topic)
        if topic.site != self.site or topic.door not in {None, self.door}:
            raise topics.TopicError(f"{message.topic} is not for this door")
        if message.is_retained and topic.what in _NEVER_KEPT:
            raise InvalidMessageError("it was kept by the broker, so it may be old")
        longest = _LONGEST_POLICY if topic.what == topics.POLICY else _LONGEST
        if len(message.payload) > longest:
            raise InvalidMessageError(f"it has {len(message.payload)} bytes, of at most {longest}")
        reader = self._readers().get(topic.what)
        if reader is None:
            raise topics.TopicError(f"{message.topic} is not for a door")
        return reader(message)

    def _readers(self) -> dict[str, Callable[[Incoming], Mail]]:
        return {
            topics.DECISION: _decision,
            topics.ACK: _acknowledged,
            topics.COMMAND: self._command,
            topics.POLICY: self._policy,
            topics.SERVER: _server,
        }

    def _command(self, message: Incoming) -> Mail:
        command = decode(message.payload, Command)
        check_command(command, self.site, self.door, self.verify)
        return CommandReceived(
            id=command.id,
            at=command.at,
            expires=command.expires,
            do=command.do,
            by=MemberId(command.by),
        )

    def _policy(self, message: Incoming) -> Mail:
        policy = unseal(decode(message.payload, PolicySnapshot), self.verify)
        event = PolicyReceived(policy=policy, is_fresh=not message.is_retained)
        return Snapshot(event=event, payload=message.payload)

    def _complain(self, topic: str, why: str, mono: float) -> None:
        self.rejected[topic] += 1
        if mono >= self._logged.get(topic, float("-inf")) + _LOG_EVERY_S:
            self._logged[topic] = mono
            _log.warning(
                "a message on %s was dropped: %s (%d so far)", topic, why, self.rejected[topic]
            )


def _decision(message: Incoming) -> Mail:
    decision = decode(message.payload, AccessDecision)
    return DecisionReceived(
        request=RequestId(decision.request),
        granted=decision.granted,
        reason=decision.reason,
        unlock_s=decision.unlock_s,
        member=MemberId(decision.member) if decision.member is not None else None,
        message=decision.message,
        watch=WatchId(decision.watch) if decision.watch is not None else None,
    )


def _acknowledged(message: Incoming) -> Mail:
    return Acknowledged(seq=decode(message.payload, Acknowledgement).seq)


def _server(message: Incoming) -> Mail:
    state = decode(message.payload, ServerState)
    return ServerSeen(is_online=state.online, at=state.at, is_fresh=not message.is_retained)
