"""
The functions of the rule language: those of jmespath.py, our seven, and what null does to them.

A function given null where its signature wants a value gives null: absent fields are normal in audit events. Any other
wrong type raises jmespath's JMESPathTypeError, or whatever Python raises, as jmespath.py 1.1.0 does.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any, Final, TypeVar

import jmespath.functions
import re2
from jmespath.exceptions import JMESPathTypeError

functions: Any = jmespath.functions  # the published stubs know jmespath's public face only
TYPES_MAP: Final[Mapping[str, str]] = {**functions.TYPES_MAP, "str": "string"}  # Python's names -> JMESPath's

Lists = Mapping[str, frozenset[str]]  # name -> values, case-folded
F = TypeVar("F", bound=Callable[..., Any])
Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

MAX_PATTERN: Final = 1000  # characters of a regular expression or glob

# fmt: off
_STANDARD: Final = frozenset({
    "abs", "avg", "ceil", "contains", "ends_with", "floor", "join", "keys", "length", "map", "max", "max_by", "merge",
    "min", "min_by", "not_null", "reverse", "sort", "sort_by", "starts_with", "sum", "to_array", "to_number",
    "to_string", "type", "values",
})
# fmt: on
if frozenset(functions.Functions.FUNCTION_TABLE) != _STANDARD:  # pragma: no cover
    # jmespath-community installs itself over the same package, with more functions and other semantics.
    raise ImportError(
        "the package 'jmespath' is not jmespath.py 1.1: it has been overwritten, perhaps by jmespath-community. "
        "Run: pip uninstall jmespath-community; pip install --force-reinstall 'jmespath>=1.1,<2'"
    )

_REGEX_OPTIONS: Final = re2.Options()
_REGEX_OPTIONS.log_errors = False  # re2 prints to stderr otherwise
_REGEX_OPTIONS.never_capture = True


def signature(*types: str) -> Callable[[F], F]:
    """Registers a `_func_` method under the types of its arguments, "string|array"; "any" allows all."""
    allowed = [{"types": [] if wants == "any" else wants.split("|")} for wants in types]
    record: Callable[[F], F] = functions.signature(*allowed)
    return record


class Functions(functions.Functions):  # type: ignore[misc]  # untyped
    """jmespath.py's functions with our null behaviour and our own; immutable but for caches, safe between threads."""

    def __init__(self, lists: Lists) -> None:
        self.lists = lists

    def call_function(self, function_name: str, resolved_args: list[Any]) -> Any:
        types = wanted(function_name, len(resolved_args))
        for given, allowed in zip(resolved_args, types, strict=False):
            if given is None and allowed and "null" not in allowed:
                return None
        return super().call_function(function_name, resolved_args)

    @signature("array|string", "any")
    def _func_contains(self, subject: Any, search: Any) -> Any:
        if search is None and isinstance(subject, str):
            return None  # the signature takes anything, but a text holds only texts: null here is an absent field
        if isinstance(subject, str) and not isinstance(search, str):
            raise TypeError("a text can only contain a text")
        return search in subject

    @signature("string|number|array", "string")
    def _func_in_list(self, value: Any, name: str) -> bool:
        if name not in self.lists:
            raise ValueError(f"there is no list '{name}'")
        values = self.lists[name]
        if isinstance(value, list):
            return any(_listed(item, values) for item in value if item is not None)
        return _listed(value, values)

    @signature("string", "string|array-string")
    def _func_in_cidr(self, address: str, networks: Any) -> bool:
        found = parsed_address(address)
        if found is None:
            return False
        if isinstance(networks, list):
            return any(_within(found, parsed_network(network)) for network in networks)
        if networks in self.lists:
            return any(_within(found, network) for network in _networks(self.lists[networks]))
        return _within(found, parsed_network(networks))

    @signature("string", "string")
    def _func_matches(self, text: str, pattern: str) -> bool:
        return regex(pattern).search(_encodable(text)) is not None

    @signature("string", "string")
    def _func_glob(self, text: str, pattern: str) -> bool:
        return globbed(pattern).fullmatch(_encodable(text)) is not None

    @signature("string")
    def _func_lower(self, text: str) -> str:
        return text.lower()

    @signature("string")
    def _func_upper(self, text: str) -> str:
        return text.upper()

    @signature("string")
    def _func_json(self, text: str) -> Any:
        try:
            return json.loads(text, parse_constant=_refuse, parse_float=_finite)
        except (ValueError, RecursionError):
            return None


def names() -> list[str]:
    """Every function that an expression may call."""
    return sorted(Functions.FUNCTION_TABLE)


def arity(name: str) -> tuple[int, bool]:
    """How many arguments a function takes, and whether it takes more. Raises KeyError for an unknown one."""
    signature = Functions.FUNCTION_TABLE[name]["signature"]
    return len(signature), bool(signature and signature[-1].get("variadic"))


def wanted(name: str, count: int) -> list[list[str]]:
    """The types that each of *count* arguments may have; an empty list allows all. Unknown functions want nothing."""
    spec = Functions.FUNCTION_TABLE.get(name)
    if spec is None:
        return []
    types: list[list[str]] = [argument["types"] for argument in spec["signature"]]
    if spec["signature"] and spec["signature"][-1].get("variadic"):
        types += [types[-1]] * (count - len(types))
    return types


def _listed(item: object, values: frozenset[str]) -> bool:
    if isinstance(item, str):
        return item.casefold() in values
    if isinstance(item, int | float) and not isinstance(item, bool):
        return json.dumps(item) in values
    kind = TYPES_MAP.get(type(item).__name__, "unknown")
    raise JMESPathTypeError("in_list", item, kind, ["string", "number", "array"])


@lru_cache(maxsize=4096)
def parsed_address(text: str) -> Address | None:
    """The IP address that *text* is (IPv4 in IPv6 clothes, ::ffff:1.2.3.4, is the IPv4 one), or None."""
    try:
        found = ip_address(text)
    except ValueError:
        return None
    return found.ipv4_mapped or found if isinstance(found, IPv6Address) else found


@lru_cache(maxsize=4096)
def parsed_network(text: str) -> Network:
    """The network that *text* is. Raises ValueError, with a sentence, also for bits set behind the mask."""
    try:
        return ip_network(text)
    except ValueError:
        pass
    try:
        loose = ip_network(text, strict=False)
    except ValueError:
        raise ValueError(f"'{text}' is not a network such as 203.0.113.0/24") from None
    raise ValueError(f"'{text}' has bits set behind its mask; the network is '{loose}'")


@lru_cache(maxsize=256)
def _networks(values: frozenset[str]) -> tuple[Network, ...]:
    return tuple(parsed_network(value) for value in sorted(values))


def _within(address: Address, network: Network) -> bool:
    return address.version == network.version and address in network


def _checked_length(pattern: str) -> str:
    if len(pattern) > MAX_PATTERN:
        raise ValueError(f"a pattern has at most {MAX_PATTERN} characters")
    return pattern


def _compiled(pattern: str, what: str) -> Any:
    try:
        return re2.compile(pattern, options=_REGEX_OPTIONS)
    except re2.error as error:
        reason = error.args[0] if error.args else "malformed"
        text = reason.decode(errors="replace") if isinstance(reason, bytes) else reason
        raise ValueError(f"not {what}: {text}") from None
    except UnicodeEncodeError:
        raise ValueError(f"not {what}: it holds half of a character (a lone surrogate)") from None


@lru_cache(maxsize=1024)
def regex(pattern: str) -> Any:
    """A compiled RE2 pattern. Raises ValueError with the reason."""
    return _compiled(_checked_length(pattern), "an RE2 pattern")


@lru_cache(maxsize=1024)
def globbed(pattern: str) -> Any:
    """A glob as RE2: `*` any text, `?` one character, `[a-z]`, `[!a-z]`. Raises ValueError with the reason."""
    out, at = ["(?s)"], 0
    while at < len(_checked_length(pattern)):
        char = pattern[at]
        at += 1
        if char == "*":
            if out[-1] != ".*":
                out.append(".*")
        elif char == "?":
            out.append(".")
        elif char == "[":
            # As fnmatch: a "]" that comes first stands for itself; "[" that is never closed too.
            close = pattern.find("]", at + (2 if pattern[at : at + 1] in ("!", "^") else 1))
            if close < 0:
                out.append(re2.escape("["))
                continue
            negated = pattern[at] in "!^"
            inside = pattern[at + negated : close]
            inside = inside.replace("\\", "\\\\").replace("[", "\\[").replace("]", "\\]").replace("^", "\\^")
            out.append(f"[{'^' if negated else ''}{inside}]")
            at = close + 1
        else:
            out.append(re2.escape(char))
    return _compiled("".join(out), "a glob")


def _encodable(text: str) -> str:
    """*text* with halves of characters (lone surrogates, which JSON can carry) as U+FFFD: RE2 reads UTF-8 only."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def _refuse(constant: str) -> Any:
    raise ValueError(constant)  # NaN and Infinity are not JSON


def _finite(number: str) -> float:
    value = float(number)
    if math.isinf(value):
        raise ValueError(number)
    return value


def problem_of_networks(values: Iterable[str]) -> str | None:
    """What is wrong with the first value that is not a network, if one is not."""
    for value in values:
        try:
            parsed_network(value)
        except ValueError as error:
            return str(error)
    return None
