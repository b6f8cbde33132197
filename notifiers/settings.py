"""What the settings of all notifiers share: strict, closed, silent about values."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, SecretStr


class NotifierSettings(BaseModel):
    """Unknown keys are errors, types are not guessed, and no error repeats the value that it is about."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, hide_input_in_errors=True)


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
