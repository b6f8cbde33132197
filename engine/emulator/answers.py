"""
The envelope of every answer, and the refusals in it.

All answers of the API are HTTP 200; an error is `{"Response":{"Error":{"Code","Message"},"RequestId"}}`
(API 3.0 documentation, "Responses"). Codes that are not the product's own are API 3.0's common ones.
"""

from __future__ import annotations

import json
from typing import Any

# Exactly this: Tencent's Python SDK looks for errors only under `application/json` or `text/plain` without
# parameters (tencentcloud-sdk-python-common, abstract_client.py, _check_error).
CONTENT_TYPE = "application/json"


class RefusalError(Exception):
    """The API refuses: *code* is one that the documentation lists, *message* is for the person who reads it."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message


def missing(name: str, code: str = "MissingParameter") -> RefusalError:
    return RefusalError(code, f"The request is missing a required parameter `{name}`.")


def invalid(message: str, code: str = "InvalidParameter") -> RefusalError:
    """A parameter of the wrong type or form, or one that does not go with another."""
    return RefusalError(code, message)


def wrong(message: str, code: str = "InvalidParameterValue") -> RefusalError:
    """A parameter of the right type with a value that is not allowed."""
    return RefusalError(code, message)


def text(value: Any) -> bytes:
    """*value* as compact JSON in UTF-8, as the service writes it; ASCII where it holds what UTF-8 cannot."""
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
    except UnicodeEncodeError:  # a lone surrogate, from an event that was made to break decoders
        return json.dumps(value, separators=(",", ":")).encode()


def success(fields: bytes, request_id: str) -> bytes:
    """The answer with *fields*: the members of a JSON object, without its braces."""
    comma = b"," if fields else b""
    return b'{"Response":{' + fields + comma + b'"RequestId":"' + request_id.encode() + b'"}}'


def failure(refusal: RefusalError, request_id: str) -> bytes:
    error = text({"Code": refusal.code, "Message": refusal.message})
    return success(b'"Error":' + error, request_id)
