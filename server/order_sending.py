"""Sends doors what they are still to be told: at once, and again when they may have missed it."""

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Final

from access import topics
from access.ids import DoorId, SiteId
from access.messages import Command, encode
from access.orders import sign_command
from access.snapshot import Sign
from runtime.link import Link, Outgoing
from server.effects import WaitingOrder
from server.events import OrderLapsed

_KEPT_BY_BROKER_S: Final = 60
"""The longest that a broker keeps one for a door that is away: it is sent again when it is back."""


class OrderSending:
    """Publishes each order once on each connection, of the link's and of its door's.

    A door does an order once, however often it comes. So to send too often is harmless.

    Args:
        sign: signs with the server's key.
        link: to the broker.
        waiting: what the doors of a site are still to be told, oldest first.
    """

    def __init__(
        self, *, sign: Sign, link: Link, waiting: Callable[[SiteId], list[WaitingOrder]]
    ) -> None:
        self._sign, self._link, self._waiting = sign, link, waiting
        self._sent: dict[SiteId, dict[str, DoorId]] = {}

    def link_is_back(self) -> None:
        """The broker is in reach again: whatever was sent before may be lost."""
        self._sent.clear()

    def door_is_back(self, site: SiteId, door: DoorId) -> None:
        """A door says that it is there: whatever it was sent before may be lost."""
        sent = self._sent.get(site, {})
        self._sent[site] = {id_: to for id_, to in sent.items() if to != door}

    def send(self, site: SiteId, now: datetime) -> list[OrderLapsed]:
        """Send what was not sent yet, in order. Blocks for the database only.

        Args:
            site: whose doors.
            now: the server's time.

        Returns:
            The orders whose time is over; they are not sent.

        Raises:
            DatabaseError: not now; nothing was sent.
        """
        orders = self._waiting(site)
        sent = self._sent.get(site, {})
        # Only what waits is remembered: it is never more than that.
        self._sent[site] = {order.id: order.door for order in orders if order.id in sent}
        for order in orders:
            if order.expires > now and order.id not in sent and self._publish(site, order, now):
                self._sent[site][order.id] = order.door
        return list(_lapsed(orders, now))

    def _publish(self, site: SiteId, order: WaitingOrder, now: datetime) -> bool:
        command = Command(
            id=order.id, at=order.at, expires=order.expires, do=order.do, by=order.by, sig=""
        )
        left_s = (order.expires - now).total_seconds()
        return self._link.send(
            Outgoing(
                topic=topics.of_door(site, order.door, topics.COMMAND),
                payload=encode(sign_command(command, site, order.door, self._sign)),
                expiry_s=max(1, min(int(left_s), _KEPT_BY_BROKER_S)),
            )
        )


def _lapsed(orders: list[WaitingOrder], now: datetime) -> Iterator[OrderLapsed]:
    for order in orders:
        if order.expires <= now:
            yield OrderLapsed(id=order.id, door=order.door, do=order.do)
