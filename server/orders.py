"""The orders that doors are still to be told, in a table of their own.

Every function works on a connection from `Database.writing` or `reading`, and blocks for the
database. The order, the ledger's record of it and the state are one transaction.
"""

from collections.abc import Collection
from typing import Final

from sqlalchemy import Connection, bindparam, delete, insert, select

from access.ids import DoorId, SiteId
from server import schema
from server.effects import DropOrder, SendOrder, WaitingOrder

_o: Final = schema.door_order.c
_at_site: Final = _o.site == bindparam("at_site")
_at_door: Final = _o.door == bindparam("at_door")

_insert: Final = insert(schema.door_order)
_delete: Final = delete(schema.door_order).where(_at_site, _at_door, _o.id == bindparam("which"))
_delete_replaced: Final = delete(schema.door_order).where(
    _at_site, _at_door, _o.do.in_(bindparam("replaced", expanding=True))
)
_select: Final = select(schema.door_order).where(_at_site).order_by(_o.at, _o.id)


def add(connection: Connection, site: SiteId, effect: SendOrder) -> None:
    """Add an order, in place of those that it replaces.

    Raises:
        ConflictError: one with its id is there already; it shows when the transaction ends.
    """
    order = effect.order
    at_door = {"at_site": site, "at_door": order.door}
    if effect.replaces:
        connection.execute(_delete_replaced, at_door | {"replaced": list(effect.replaces)})
    values = {
        "id": order.id,
        "site": site,
        "door": order.door,
        "do": order.do,
        "made_by": order.by,
        "at": order.at,
        "expires": order.expires,
    }
    connection.execute(_insert, values)


def drop(connection: Connection, site: SiteId, effect: DropOrder) -> None:
    """Take an order out; does nothing where it is not there any more."""
    values = {"at_site": site, "at_door": effect.door, "which": effect.id}
    connection.execute(_delete, values)


def waiting(connection: Connection, site: SiteId) -> list[WaitingOrder]:
    """Give what the doors of a site are still to be told, in the order in which it was ordered."""
    return [
        WaitingOrder(
            id=row.id,
            door=DoorId(row.door),
            do=row.do,
            by=row.made_by,
            at=row.at,
            expires=row.expires,
        )
        for row in connection.execute(_select, {"at_site": site})
    ]


def still_waiting(connection: Connection, site: SiteId, ids: Collection[str]) -> frozenset[str]:
    """Give those of some orders that are there still."""
    return frozenset(order.id for order in waiting(connection, site) if order.id in ids)
