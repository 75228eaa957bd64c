"""What a door remembers across restarts; a policy is verified again when it is read."""

import logging
from typing import Final

from access.messages import InvalidMessageError, PolicySnapshot, decode
from access.model import Policy
from access.snapshot import SnapshotError, Verify, unseal
from edge import knowledge, obedience, passage, timekeeping
from edge.badges.counters import KEPT_UNDER, recall_counters
from edge.condition import Kept
from edge.outbox import Outbox

_log = logging.getLogger(__name__)

_POLICY: Final = "policy"


def recall(outbox: Outbox, verify: Verify) -> Kept:
    """Read what was kept. What can't be read, or was not signed by the server, is left out.

    Raises:
        OutboxError: the outbox can't be read.
    """
    policy = _policy(outbox.kept(_POLICY), verify)
    return Kept(
        policy=policy,
        watch=knowledge.read_watch(outbox.kept(knowledge.KEPT_AS)),
        is_locked_down=outbox.kept(obedience.LOCKDOWN_KEPT_AS) is not None,
        was_held=outbox.kept(passage.KEPT_AS) is not None,
        done=obedience.read_done(outbox.kept(obedience.DONE_KEPT_AS)),
        ruled_at=obedience.read_ruled(outbox.kept(obedience.RULED_KEPT_AS)),
        counters=recall_counters(outbox.kept_under(KEPT_UNDER)),
        last_at=outbox.last_at,
        clock_doubt=outbox.kept(timekeeping.KEPT_AS),
    )


def keep_policy(outbox: Outbox, payload: bytes) -> None:
    """Keep the message in which the policy came, with its signature. Blocks for the disk.

    Raises:
        OutboxError: it could not be written.
    """
    outbox.keep(_POLICY, payload.decode("utf-8"))


def _policy(kept: str | None, verify: Verify) -> Policy | None:
    if kept is None:
        return None
    try:
        return unseal(decode(kept.encode("utf-8"), PolicySnapshot), verify)
    except (InvalidMessageError, SnapshotError) as error:
        _log.warning("the policy that was kept is not used: %s", error)
        return None
