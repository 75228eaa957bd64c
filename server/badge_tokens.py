"""The tokens that badges have shown, in the database: read for a visit, and kept with it.

Every function works on a connection of the caller's, so that a token, the decision that it led to
and the suspension of a copied badge are one transaction. Each blocks for the database.
"""

from collections.abc import Collection
from datetime import datetime
from typing import Any, Final

from sqlalchemy import (
    Connection,
    Row,
    Select,
    bindparam,
    delete,
    func,
    insert,
    or_,
    select,
    update,
)

from access.ids import BadgeDigest, MemberId, RequestId
from access.tokens import CardToken, SeenToken, SeenTokens, counter_of
from server import schema

_t: Final = schema.badge_token.c
_select_tokens: Final = select(schema.badge_token).where(
    _t.badge.in_(bindparam("badges", expanding=True))
)
_insert: Final = insert(schema.badge_token)
_prune: Final = delete(schema.badge_token).where(
    _t.badge == bindparam("of_badge"), _t.counter <= bindparam("floor")
)
# A card that is written anew may count from the beginning again: what it showed before is over.
_restart: Final = delete(schema.badge_token).where(
    _t.badge == bindparam("of_badge"),
    or_(
        _t.counter == bindparam("counter"),
        _t.seen_at.is_(None),
        _t.seen_at < bindparam("before"),
    ),
)


def load(connection: Connection, badges: Collection[BadgeDigest]) -> dict[BadgeDigest, SeenTokens]:
    """Read what is remembered of some badges; one statement, none where there are no badges."""
    if not badges:
        return {}
    by_badge: dict[BadgeDigest, list[SeenToken]] = {badge: [] for badge in badges}
    for row in connection.execute(_select_tokens, {"badges": sorted(badges)}):
        by_badge[BadgeDigest(row.badge)].append(_seen(row))
    return {badge: SeenTokens(seen) for badge, seen in by_badge.items()}


def keep(connection: Connection, badge: BadgeDigest, seen: SeenToken, floor: int) -> None:
    """Remember a token, and forget all of the badge's up to the counter `floor`.

    Raises:
        ConflictError: the counter was seen meanwhile, or the badge is gone. It shows when the
            transaction ends, and nothing of it is kept.
    """
    connection.execute(_insert, [_fields(badge, seen)])
    if floor > 0:
        connection.execute(_prune, {"of_badge": badge, "floor": floor})


def restart(
    connection: Connection,
    badge: BadgeDigest,
    token: CardToken,
    request: RequestId | None,
    at: datetime,
) -> None:
    """Begin anew with the token that a card has shown when it was enrolled.

    Args:
        connection: of a transaction that writes.
        badge: that is in the registry.
        token: that was written last.
        request: of the visit that told it.
        at: when; what was seen later is kept.
    """
    counter = counter_of(token)
    connection.execute(_restart, {"of_badge": badge, "counter": counter, "before": at})
    seen = SeenToken(counter=counter, token=token, request=request, at=at)
    connection.execute(_insert, [_fields(badge, seen)])


def seen_of(connection: Connection, member: MemberId) -> dict[BadgeDigest, tuple[SeenToken, ...]]:
    """Give all that is remembered of a member's badges, oldest first."""
    found: dict[BadgeDigest, tuple[SeenToken, ...]] = {}
    for row in connection.execute(_of_member(member)):
        badge = BadgeDigest(row.badge)
        found[badge] = (*found.get(badge, ()), _seen(row))
    return found


def forget(connection: Connection, before: datetime) -> int:
    """Forget visits from before a time: of each badge's newest token the bare counter stays.

    Without that counter an old copy would be taken for the badge.

    Returns:
        How many tokens were forgotten.
    """
    other = schema.badge_token.alias()
    newest = select(func.max(other.c.counter)).where(other.c.badge == _t.badge).scalar_subquery()
    is_old = _t.seen_at < before
    bare = connection.execute(
        update(schema.badge_token)
        .where(is_old, _t.counter == newest)
        .values(token=None, request=None, seen_at=None)
    ).rowcount
    gone = connection.execute(delete(schema.badge_token).where(is_old)).rowcount
    _drop_bare(connection)
    return bare + gone


def _drop_bare(connection: Connection) -> None:
    """Let go of bare counters of which a newer one is remembered."""
    newer = schema.badge_token.alias()
    connection.execute(
        delete(schema.badge_token).where(
            _t.seen_at.is_(None),
            select(newer.c.badge)
            .where(newer.c.badge == _t.badge, newer.c.counter > _t.counter)
            .exists(),
        )
    )


def _of_member(member: MemberId) -> Select[Any]:
    return (
        select(schema.badge_token)
        .join(schema.badge, schema.badge.c.digest == _t.badge)
        .where(schema.badge.c.member == member)
        .order_by(_t.badge, _t.counter)
    )


def _seen(row: Row[Any]) -> SeenToken:
    return SeenToken(
        counter=row.counter,
        token=None if row.token is None else CardToken(row.token),
        request=None if row.request is None else RequestId(row.request),
        at=row.seen_at,
    )


def _fields(badge: BadgeDigest, seen: SeenToken) -> dict[str, Any]:
    return {
        "badge": badge,
        "counter": seen.counter,
        "token": seen.token,
        "request": seen.request,
        "seen_at": seen.at,
    }
