"""What stands for a value of a CloudAudit event before it is read (`kinds.Token`); what the matcher may count on."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

from engine.event import SEPARATOR
from engine.kinds import NORM_FIELDS, Schema, Token
from engine.kinds.nested import Nested
from engine.kinds.projection import UNSET, attribute, plainly_named
from engine.kinds.redaction import Redactor
from engine.kinds.tencent_cloudaudit.fields import (
    HIDDEN,
    IDENTITY_OUTER,
    OBJECTS,
    OPENED,
    OUTER_TWINS,
    ROWS,
    TYPES,
    TYPES_BY_PATH,
)

ABSENT: Final = (None, UNSET)
BLANK: Final = (None, "", UNSET)
IDENTITY: Final = f"userIdentity{SEPARATOR}"
SESSION: Final = f"{IDENTITY}sessionContext{SEPARATOR}"
NORM_SAME: Final = {"action": "eventName", "region": "eventRegion", "time": "eventTime", "mfa": f"{SESSION}mfa"}


def peeked(written: Any, key: str) -> Any:
    """
    What stands under *key*, a plain name in quotes, in an object that is *written* as JSON, by a quick look.

    None: nothing. The class `list`: a list or nothing, since what the key stands in may lie deeper. True: who knows.
    """
    if written.__class__ is not str or written[:1] not in ("{", "") or "\\" in written:
        return True
    place = written.find(key)
    if place < 0:
        return None
    place += len(key)
    begins = written[place : place + 3].removeprefix(":").removeprefix(" ")
    return list if begins[:1] == "[" and written.find(key, place) < 0 else True


def token_of(path: str) -> Token | None:
    """See Schema.token. Of a blank field the outer event may have something to say, so it tells nothing."""
    found = _NORM_TOKENS.get(path)
    if found is not None:
        return found
    path = NORM_SAME.get(path.removeprefix(NORM_PREFIX), path) if path.startswith(NORM_PREFIX) else path
    names = path.split(SEPARATOR)
    if names[0] in OPENED and len(names) > 1 and is_plain(names[1]) and plainly_named(names[1:], ANY_KEY):
        return Token((f"peeked(inner.f_{names[0]}, '\"{names[1]}\"')",), _is_none, (path,))
    if path not in TYPES_BY_PATH or path in HIDDEN:
        return None
    if len(names) == 1 and names[0] not in OPENED and path not in OBJECTS:
        return Token((f"inner.{attribute(names[0])}",), _tells if names[0] in OUTER_TWINS else _is_there, (path,))
    if len(names) == 2 and path not in OBJECTS:
        return Token((f"identity.{attribute(names[1])}",), _tells if names[1] in IDENTITY_OUTER else _is_there, (path,))
    return None


def _tells(token: Any) -> bool:
    """Whether the outer event has no say."""
    return token not in BLANK


def _is_none(token: Any) -> bool:
    return token is None


@lru_cache(maxsize=4096)
def plainly(name: str) -> bool:
    return plainly_named([name], ANY_KEY)


def is_plain(name: str) -> bool:
    """Whether *name* stands in JSON text as it is, if that has no escapes."""
    return name.isascii() and name.replace("_", "").isalnum()


def _is_there(token: Any) -> bool:
    return token is not UNSET and token is not None


def _tells_outcome(error: Any, api_error: Any) -> bool:
    return _tells(error) and _is_there(api_error)


def tells_actor_type(*values: Any) -> bool:
    """Where all is written as texts, and nothing is left for the outer event to say."""
    return all(value.__class__ is str for value in values) and bool(values[3] and values[4])


ANY_KEY: Final = Nested(Redactor(b""))  # what is a secret's name does not depend on the key
NORM_PREFIX: Final = f"norm{SEPARATOR}"
_NORM_TOKENS: Final[Mapping[str, Token]] = {
    f"{NORM_PREFIX}outcome": Token(
        ("inner.f_errorCode", "inner.f_apiErrorCode"), _tells_outcome, ("errorCode", "apiErrorCode")
    ),
    f"{NORM_PREFIX}actor_type": Token(
        (
            "inner.f_eventPlatform",
            "identity.f_type",
            "identity.f_principalId",
            "identity.f_accountId",
            "identity.f_userName",
        ),
        tells_actor_type,
        ("eventPlatform", *(f"{IDENTITY}{name}" for name in ("type", "principalId", "accountId", "userName"))),
    ),
    f"{NORM_PREFIX}service": Token(("inner.f_resourceType",), _tells, ("resourceType",)),
}


SCHEMA: Final = Schema(
    types={path.replace(".", SEPARATOR): kind for path, kind in {**TYPES, **NORM_FIELDS}.items()},
    name_path="eventName",
    aliases={f"norm{SEPARATOR}action": "eventName"},
    costs={
        **{row.path: 1 for row in ROWS},
        "errorCode": 0, "eventName": 0, "eventRegion": 0, "userIdentity": 3, "norm": 4,
        f"norm{SEPARATOR}outcome": 1, f"norm{SEPARATOR}service": 2, f"userIdentity{SEPARATOR}sessionContext": 6,
        "requestParameters": 7, "responseElements": 8, "additionalEventData": 7,
    },
    token=token_of,
    lean="v.inner",
    holders={
        "inner": "v.inner",
        "identity": "inner.f_userIdentity",
    },
    helpers={"peeked": peeked},
)  # fmt: skip
