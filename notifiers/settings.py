"""What the settings of all notifiers share: strict, closed, silent about values."""

from __future__ import annotations

import re
from typing import Annotated, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict, SecretStr

_SECONDS: Final = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}


class NotifierSettings(BaseModel):
    """Unknown keys are errors, types are not guessed, and no error repeats the value that it is about."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, hide_input_in_errors=True)


def _seconds(value: object) -> object:
    """Seconds from a duration as the rest of the configuration writes it, `15s`; a number is one of seconds already."""
    if not isinstance(value, str):
        return value
    found = re.fullmatch(r"(\d{1,7})([smhdw])", value.strip())
    if found is None:
        raise ValueError("a duration is a number with s, m, h, d or w, or a number of seconds: 15s, 15")
    return int(found[1]) * _SECONDS[found[2]]


Seconds = Annotated[float, BeforeValidator(_seconds)]
"""A span of time in seconds, written `15s` or `15`."""


def one_line(secret: SecretStr) -> SecretStr:
    """
    *secret* without the line end that files and shells add.

    Raises ValueError when it is empty or has characters that no header or URL carries: spaces, controls, non-ASCII.
    """
    value = secret.get_secret_value().strip()
    if not value:
        raise ValueError("is empty")
    if not (value.isascii() and value.isprintable() and " " not in value):
        raise ValueError("holds white space, control or non-ASCII characters: is it the right value, whole?")
    return SecretStr(value)
