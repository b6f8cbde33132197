"""
What the CloudAudit API, or the way to it, can answer instead of an answer.

    SourceError
    ├── CloudAuditError            has `retry`: what would make asking again worthwhile
    │   ├── ApiError               the API answered with a code; one class per documented code, see `codes`
    │   ├── TransportError         no usable answer came: network, deadline, size, broken JSON
    │   └── CredentialsError       there is no key to sign with, or it cannot be renewed
    └── SourceRefusedError         mixed into those that only a person can remedy

A documented code is found by `codes.error_class`; an unknown one falls to the class of its first dotted part, an
unknown first part to ApiError. Source: API 3.0 documentation, "Common Error Codes"; tencentcloud-sdk-python-cloudaudit
3.1, errorcodes.py. Which codes are worth a second try is our judgement; the documentation does not say.
"""

from __future__ import annotations

from enum import Enum
from typing import ClassVar

from engine.errors import SourceError, SourceRefusedError


class Retry(Enum):
    """What would make asking again worthwhile."""

    NEVER = "never"
    BACK_OFF = "after a pause"
    AFTER_CLOCK_CHECK = "once the clock is corrected"
    AFTER_CREDENTIAL_REFRESH = "with renewed credentials"
    WITH_SMALLER_PAGE = "for fewer events at a time"


class CloudAuditError(SourceError):
    """
    The API gave no usable answer.

    *ambiguous*: the action may have been carried out all the same, so one that writes must not be sent again blindly.
    *after*: the server asked to wait so many seconds.
    """

    retry: ClassVar[Retry] = Retry.NEVER
    ambiguous: ClassVar[bool] = False
    after: float | None = None


class ApiError(CloudAuditError):
    """
    The API answered with an error code.

    *code* is the code as it came (it may be more exact than the class); *parameter* names what was wrong where that is
    known: "MaxResults", "Storage.StoragePrefix". *request_id* is empty for an error found before sending.
    """

    documented_code: ClassVar[str] = ""

    def __init__(
        self, message: str, *, code: str = "", action: str = "", request_id: str = "", parameter: str = ""
    ) -> None:
        self.code = code or self.documented_code
        self.message = message
        self.action = action
        self.request_id = request_id
        self.parameter = parameter
        text = f"{action}: " if action else ""
        text += f"{self.code}: {message}"
        if request_id:
            text += f" (request {request_id})"
        super().__init__(text)

    def __init_subclass__(cls, *, code: str = "") -> None:
        super().__init_subclass__()
        if code:
            cls.documented_code = code
            CODES[code] = cls


CODES: dict[str, type[ApiError]] = {}  # every documented code; filled by the class statements here and in `codes`


# The families: the codes that every API 3.0 service shares, by their first dotted part.


class ActionOffline(ApiError, SourceRefusedError, code="ActionOffline"):
    """This action has been taken offline."""


class AuthFailure(ApiError, SourceRefusedError, code="AuthFailure"):
    """The request could not be authenticated."""


class DryRunOperation(ApiError, SourceRefusedError, code="DryRunOperation"):
    """The request would have succeeded, but DryRun was asked for."""


class FailedOperation(ApiError, code="FailedOperation"):
    """The operation failed."""


class InternalError(ApiError, code="InternalError"):
    """Something went wrong inside the service."""

    retry = Retry.BACK_OFF
    ambiguous = True


class InvalidAction(ApiError, SourceRefusedError, code="InvalidAction"):
    """There is no such action."""


class InvalidParameter(ApiError, SourceRefusedError, code="InvalidParameter"):
    """A parameter is wrong: its type, or its place beside another."""


class InvalidParameterValue(ApiError, SourceRefusedError, code="InvalidParameterValue"):
    """The value of a parameter is not allowed."""


class InvalidRequest(ApiError, SourceRefusedError, code="InvalidRequest"):
    """The request body is not what the format wants."""


class IpInBlacklist(ApiError, SourceRefusedError, code="IpInBlacklist"):
    """This machine's address is on the blocklist."""


class IpNotInWhitelist(ApiError, SourceRefusedError, code="IpNotInWhitelist"):
    """This machine's address is not on the allowlist."""


class LimitExceeded(ApiError, SourceRefusedError, code="LimitExceeded"):
    """A quota is used up."""


class MissingParameter(ApiError, SourceRefusedError, code="MissingParameter"):
    """A required parameter is absent."""


class NoSuchProduct(ApiError, SourceRefusedError, code="NoSuchProduct"):
    """There is no such product."""


class NoSuchVersion(ApiError, SourceRefusedError, code="NoSuchVersion"):
    """There is no such version of the API."""


class RequestLimitExceeded(ApiError, code="RequestLimitExceeded"):
    """Too many requests in too little time."""

    retry = Retry.BACK_OFF


class RequestSizeLimitExceeded(ApiError, SourceRefusedError, code="RequestSizeLimitExceeded"):
    """The request is too large."""


class ResourceInUse(ApiError, SourceRefusedError, code="ResourceInUse"):
    """The resource is in use, or exists already."""


class ResourceInsufficient(ApiError, code="ResourceInsufficient"):
    """The service has not enough resources."""


class ResourceNotFound(ApiError, SourceRefusedError, code="ResourceNotFound"):
    """There is no such resource."""


class ResourceUnavailable(ApiError, code="ResourceUnavailable"):
    """The resource is not available at the moment."""

    retry = Retry.BACK_OFF
    ambiguous = True


class ResponseSizeLimitExceeded(ApiError, code="ResponseSizeLimitExceeded"):
    """The answer would be larger than the API may give."""

    retry = Retry.WITH_SMALLER_PAGE


class ServiceUnavailable(ApiError, code="ServiceUnavailable"):
    """The service is not available at the moment."""

    retry = Retry.BACK_OFF
    ambiguous = True


class UnauthorizedOperation(ApiError, SourceRefusedError, code="UnauthorizedOperation"):
    """The key may not do this: its CAM policy does not allow the action."""


class UnknownParameter(ApiError, SourceRefusedError, code="UnknownParameter"):
    """The action has no such parameter."""


class UnsupportedOperation(ApiError, SourceRefusedError, code="UnsupportedOperation"):
    """The operation is not supported."""


class UnsupportedProtocol(ApiError, SourceRefusedError, code="UnsupportedProtocol"):
    """Neither GET nor POST, or not HTTP."""


class UnsupportedRegion(ApiError, SourceRefusedError, code="UnsupportedRegion"):
    """CloudAudit is not offered in this region."""


# What keeps an answer from coming.


class TransportError(CloudAuditError):
    """No usable answer came; the request may have arrived."""

    retry = Retry.BACK_OFF
    ambiguous = True


class UnreachableError(TransportError):
    """No connection: the request never left."""

    ambiguous = False


class DeadlineError(TransportError):
    """The whole answer was not there in time."""


class BrokenAnswerError(TransportError):
    """The answer ended early, or is not what the API promises."""


class AnswerTooLargeError(TransportError):
    """The answer is larger than the cap, or would be once inflated."""

    retry = Retry.WITH_SMALLER_PAGE


class HttpStatusError(TransportError):
    """An HTTP status that says: later. *after* is what Retry-After asked for."""

    def __init__(self, message: str, *, after: float | None = None) -> None:
        super().__init__(message)
        self.after = after


class HttpRefusedError(TransportError, SourceRefusedError):
    """An HTTP status that asking again will not change: a redirect, a proxy's or gateway's refusal."""

    retry = Retry.NEVER


class PagingError(CloudAuditError):
    """The pages of a scan do not come to an end as the API promises; the window must be read again."""


class CredentialsError(CloudAuditError):
    """Credentials could not be had this time: a metadata or STS answer that is no answer."""


class CredentialsRefusedError(CredentialsError, SourceRefusedError):
    """There are no credentials, or none that can be used, until a person changes something."""
