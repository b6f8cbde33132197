"""
The form of an action's parameters: which there are, of which type, and what must be there.

JSON values must have their documented types; values that came as text, by a query or a form, are read as them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from engine.emulator.answers import RefusalError, invalid, missing

UINT64 = 1 << 64
DIGITS = re.compile(r"[0-9]{1,20}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Parameter:
    """One documented parameter."""

    type: Literal["integer", "string", "object"]
    required: bool = False
    many: bool = False  # a list of them
    fields: Mapping[str, Parameter] | None = None  # of an object
    # The documented codes for a missing one and for one of the wrong type, where they are not the common codes.
    absent: str = "MissingParameter"
    mistyped: str = "InvalidParameter"


Schema = Mapping[str, Parameter]


def integer(
    *, required: bool = False, absent: str = "MissingParameter", mistyped: str = "InvalidParameter"
) -> Parameter:
    """An unsigned integer of 64 bits."""
    return Parameter("integer", required, absent=absent, mistyped=mistyped)


def string(*, required: bool = False, many: bool = False, absent: str = "MissingParameter") -> Parameter:
    return Parameter("string", required, many, absent=absent)


def structure(fields: Schema, *, required: bool = False, many: bool = False) -> Parameter:
    return Parameter("object", required, many, fields)


def read(schema: Schema, given: Mapping[str, Any], *, as_text: bool, within: str = "") -> dict[str, Any]:
    """
    The parameters of *schema* that are *given*, typed; null is as good as absent.

    Raises RefusalError: UnknownParameter, MissingParameter, InvalidParameter, or the parameter's own documented code.
    """
    for name in given:
        if name not in schema:
            raise RefusalError("UnknownParameter", f"The parameter `{within}{name}` is not recognized.")
    found: dict[str, Any] = {}
    for name, parameter in schema.items():
        value = given.get(name)
        if value is not None:
            found[name] = _typed(parameter, value, as_text=as_text, path=within + name)
        elif parameter.required:
            raise missing(within + name, parameter.absent)
    return found


def _typed(parameter: Parameter, value: Any, *, as_text: bool, path: str) -> Any:
    if not parameter.many:
        return _single(parameter, value, as_text=as_text, path=path)
    if not isinstance(value, list):
        raise invalid(f"The parameter `{path}` is not a list.")
    return [_single(parameter, item, as_text=as_text, path=f"{path}.{place}") for place, item in enumerate(value)]


def _single(parameter: Parameter, value: Any, *, as_text: bool, path: str) -> Any:
    if parameter.type == "object" and isinstance(value, dict):
        return read(parameter.fields or {}, value, as_text=as_text, within=f"{path}.")
    if parameter.type == "string" and isinstance(value, str):
        return value
    if parameter.type == "integer":
        if as_text and isinstance(value, str) and DIGITS.fullmatch(value):
            value = int(value)
        if type(value) is int and 0 <= value < UINT64:  # a bool is no integer here
            return value
    raise invalid(f"The value of the parameter `{path}` is not of the type {parameter.type}.", parameter.mistyped)
