"""
Do the exceptions of a rule still deserve their place?

Each one counts what it hid, when last, and of what kinds: outcome, country, client and network. Something of a kind
that it never hid before is news: an exception written for the nightly backup also hides the thief who looks like it.
"""

from __future__ import annotations

import hashlib
import ipaddress
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from engine.rule import Exception_, Rule

IDLE: Final = timedelta(days=30)  # an exception that hid nothing for so long may go
KINDS_KEPT: Final = (
    50  # values of one trait; beyond that everything counts as known: such an exception is broad by intent
)


@dataclass(frozen=True, slots=True)
class Hidden:
    """What one exception has hidden; times are epoch seconds. *novel* are kinds that nobody has looked at yet."""

    count: int
    first: float
    last: float
    kinds: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # trait -> the values seen, sorted
    novel: tuple[str, ...] = ()  # "country: 荷兰", in the order in which they came


def key(rule_id: str, exception: Exception_) -> str:
    """What makes an exception the same one after an edit of its reason or its end: its rule and its condition."""
    text = f"{rule_id}\0{' '.join(exception.match.text.split())}"
    return "E-" + hashlib.blake2b(text.encode(), digest_size=5).hexdigest()


def keys(rules: Iterable[Rule]) -> dict[str, str]:
    """The key of every exception of *rules* -> the id of its rule."""
    return {key(rule.id, one): rule.id for rule in rules for one in rule.unless}


def hide(hidden: Hidden | None, fields: Mapping[str, Any], at: float) -> tuple[Hidden, tuple[str, ...]]:
    """
    *hidden* after one more event, and the kinds that are new with it ("network: 203.0.113.0/24").

    What the first event is like is what the exception was written for: it is no news.
    """
    seen = traits(fields)
    if hidden is None:
        return Hidden(1, at, at, {name: (value,) for name, value in seen.items()}), ()
    kinds = dict(hidden.kinds)
    new = []
    for name, value in seen.items():
        known = kinds.get(name, ())
        if value not in known and len(known) < KINDS_KEPT:
            kinds[name] = tuple(sorted((*known, value)))
            new.append(f"{name}: {value}")
    grown = replace(hidden, count=hidden.count + 1, last=max(hidden.last, at), kinds=kinds)
    return replace(grown, novel=(*hidden.novel, *new)), tuple(new)


def traits(fields: Mapping[str, Any]) -> dict[str, str]:
    """Of what kind an event is, for an exception: outcome, country, client and network, where it has them."""
    norm = fields.get("norm")
    norm = norm if isinstance(norm, Mapping) else {}
    found = {
        "outcome": norm.get("outcome"),
        "country": _country(fields.get("Location")),
        "client": _client(fields.get("userAgent")),
        "network": _network(norm.get("ip")),
    }
    return {name: value for name, value in found.items() if isinstance(value, str) and value}


def complaints(exception: Exception_, hidden: Hidden | None, loaded: float, now: float) -> tuple[str, ...]:
    """
    Why a person should look at *exception*: expired, idle, or hiding something new; empty when all is well.

    *loaded* is when it was first in force (epoch seconds): an exception that is new has had no time to be of use.
    """
    found = []
    today = datetime.fromtimestamp(now, UTC).date()
    if not exception.holds_on(today):
        found.append(f"expired on {exception.expires}")
    last = hidden.last if hidden else loaded
    if now - last >= IDLE.total_seconds():
        found.append(f"hid nothing for {int((now - last) // 86400)} days")
    if hidden and hidden.novel:
        found.append(f"hid something of a new kind ({'; '.join(hidden.novel[:5])})")
    return tuple(found)


def expired(rule: Rule, now: float) -> tuple[str, ...]:
    """A sentence for each exception of *rule* that has ended: what its next alert says."""
    today = datetime.fromtimestamp(now, UTC).date()
    return tuple(
        f"an exception of this rule expired on {one.expires}: {one.reason} ({one.owner})"
        for one in rule.unless
        if not one.holds_on(today)
    )


def _country(location: Any) -> str | None:
    """The first word of CloudAudit's Location: "中国 广东省 深圳市 中国电信"; "未知" is unknown."""
    words = location.split() if isinstance(location, str) else []
    return words[0] if words and words[0] not in ("未知", "-") else None


def _client(agent: Any) -> str | None:
    """The program without its version: "SDK_GO_1.0.374" → "SDK_GO"."""
    return re.split(r"[/ (]|[_-]?v?\d", agent, maxsplit=1)[0][:40] or None if isinstance(agent, str) else None


def _network(address: Any) -> str | None:
    """The /24 (IPv4) or /48 (IPv6) that an address is in."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return None
    return str(ipaddress.ip_network((ip, 24 if ip.version == 4 else 48), strict=False))
