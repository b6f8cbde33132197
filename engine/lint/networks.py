"""What is left of all addresses when some networks must hold one and others must not."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from ipaddress import IPv4Network, IPv6Network, collapse_addresses
from typing import Any

from engine.expression import Lists, Node
from engine.functions import Network, parsed_network


def networks_of(node: Node, lists: Lists) -> tuple[Network, ...] | None:
    """The networks that the second argument of in_cidr() stands for; None where they depend on the event."""
    written = _written(node)
    if isinstance(written, str):
        written = sorted(lists[written]) if written in lists else [written]
    if not isinstance(written, list) or not all(isinstance(item, str) for item in written):
        return None
    try:
        return tuple(parsed_network(item) for item in written)
    except ValueError:
        return None


def _written(node: Node) -> Any:
    if node["type"] == "multi_select_list":
        return [_written(child) for child in node["children"]]
    return node["value"] if node["type"] == "literal" else None


def nowhere(inside: Sequence[Sequence[Network]], outside: Iterable[Network]) -> bool:
    """
    Whether no address is in one network of each of *inside* and in none of *outside*.

    Two networks share nothing, or one holds the other; so what several have in common is a network again.
    """
    common: Sequence[Network] = inside[0]
    for networks in inside[1:]:
        common = [found for one in common for other in networks if (found := _common(one, other)) is not None]
    without = list(outside)
    return all(_covered(network, without) for network in common)


def _common(one: Network, other: Network) -> Network | None:
    if _holds(one, other):
        return other
    return one if _holds(other, one) else None


def _covered(network: Network, others: list[Network]) -> bool:
    """Whether each address of *network* is in one of *others*, alone or several of them together."""
    if any(_holds(other, network) for other in others):
        return True
    parts: list[Any] = [other for other in others if _holds(network, other)]  # of one version: that of *network*
    return list(collapse_addresses(parts)) == [network]


def _holds(wide: Network, narrow: Network) -> bool:
    if isinstance(wide, IPv4Network):
        return isinstance(narrow, IPv4Network) and narrow.subnet_of(wide)
    return isinstance(narrow, IPv6Network) and narrow.subnet_of(wide)
