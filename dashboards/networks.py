"""From which network a request comes, as far as it can be told."""

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from flask import request

from dashboards.parts import parts


def is_from(networks: Iterable[str]) -> bool:
    """Whether the request comes from one of these networks, in CIDR notation.

    Where nobody can tell, it doesn't: behind a proxy that the settings don't know of, all requests
    would seem to come from this machine.
    """
    address = _address()
    return address is not None and any(address in ip_network(one) for one in networks)


def _address() -> IPv4Address | IPv6Address | None:
    if not parts().settings.dashboard.behind_tls and _went_through_a_proxy():
        return None
    try:
        address = ip_address(request.remote_addr or "")
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def _went_through_a_proxy() -> bool:
    return any(name in request.headers for name in ("Forwarded", "X-Forwarded-For", "X-Real-Ip"))
