"""Error codes become classes that know whether asking again can help."""

from __future__ import annotations

import pytest
from tencentcloud.cloudaudit.v20190319 import errorcodes

from engine.cloudaudit.codes import (
    AuthFailureSignatureExpire,
    InvalidParameterValueMaxResult,
    RequestLimitExceededUinLimitExceeded,
    error_class,
)
from engine.cloudaudit.errors import (
    CODES,
    ApiError,
    AuthFailure,
    InternalError,
    InvalidParameterValue,
    RequestLimitExceeded,
    Retry,
)
from engine.errors import SourceError, SourceRefusedError

# The page of CreateAudit; the SDK no longer has the action.
CREATE_AUDIT = [
    "FailedOperation.CreateBucketFail",
    "InternalError.CmqError",
    "InternalError.CreateAuditError",
    "InvalidParameterValue.AuditNameError",
    "InvalidParameterValue.CmqRegionError",
    "InvalidParameterValue.CosNameError",
    "InvalidParameterValue.CosRegionError",
    "InvalidParameterValue.IsCreateNewBucketError",
    "InvalidParameterValue.IsCreateNewQueueError",
    "InvalidParameterValue.IsEnableCmqNotifyError",
    "InvalidParameterValue.LogFilePrefixError",
    "InvalidParameterValue.QueueNameError",
    "InvalidParameterValue.ReadWriteAttributeError",
    "LimitExceeded.OverAmount",
    "MissingParameter.MissAuditName",
    "MissingParameter.MissCosBucketName",
    "MissingParameter.MissCosRegion",
    "MissingParameter.cmq",
    "ResourceInUse.AlreadyExistsSameAudit",
    "ResourceInUse.AlreadyExistsSameAuditCmqConfig",
    "ResourceInUse.AlreadyExistsSameAuditCosConfig",
    "ResourceInUse.CosBucketExists",
]


def test_every_code_of_tencents_sdk_has_a_class_of_its_own() -> None:
    documented = {value for name, value in vars(errorcodes).items() if name.isupper()}

    assert {code for code in documented if error_class(code).documented_code != code} == set()


def test_every_code_of_the_legacy_page_has_a_class_of_its_own() -> None:
    assert [code for code in CREATE_AUDIT if error_class(code).documented_code != code] == []


def test_a_class_stands_below_the_class_of_its_first_part() -> None:
    for code, found in CODES.items():
        assert issubclass(found, CODES[code.partition(".")[0]]), code


def test_a_new_code_falls_to_its_family_and_keeps_its_name() -> None:
    error = error_class("InvalidParameterValue.Brandnew")("m", code="InvalidParameterValue.Brandnew")

    assert type(error) is InvalidParameterValue
    assert error.code == "InvalidParameterValue.Brandnew"


def test_a_code_of_no_known_family_is_an_api_error() -> None:
    assert error_class("Wormhole.Open") is ApiError
    assert error_class("") is ApiError


@pytest.mark.parametrize(
    ("code", "retry"),
    [
        ("RequestLimitExceeded", Retry.BACK_OFF),
        ("RequestLimitExceeded.UinLimitExceeded", Retry.BACK_OFF),
        ("RequestLimitExceeded.SomethingNew", Retry.BACK_OFF),
        ("InternalError", Retry.BACK_OFF),
        ("InternalError.SearchError", Retry.BACK_OFF),
        ("InternalError.CmqError", Retry.NEVER),
        ("ServiceUnavailable", Retry.BACK_OFF),
        ("ResourceUnavailable", Retry.BACK_OFF),
        ("AuthFailure.SignatureExpire", Retry.AFTER_CLOCK_CHECK),
        ("AuthFailure.TokenFailure", Retry.AFTER_CREDENTIAL_REFRESH),
        ("AuthFailure.SignatureFailure", Retry.NEVER),
        ("AuthFailure.SecretIdNotFound", Retry.NEVER),
        ("UnauthorizedOperation", Retry.NEVER),
        ("InvalidParameterValue.MaxResult", Retry.NEVER),
        ("LimitExceeded.OverTime", Retry.NEVER),
        ("FailedOperation.MemberNotAuditRole", Retry.NEVER),
        ("ResponseSizeLimitExceeded", Retry.WITH_SMALLER_PAGE),
        ("Wormhole.Open", Retry.NEVER),
    ],
)
def test_each_code_knows_what_would_help(code: str, retry: Retry) -> None:
    assert error_class(code).retry is retry


@pytest.mark.parametrize(
    ("code", "refused"),
    [
        ("AuthFailure.SignatureFailure", True),
        ("UnauthorizedOperation", True),
        ("UnauthorizedOperation.CamNoAuth", True),
        ("InvalidParameter.Time", True),
        ("FailedOperation.MemberNotInOrganization", True),
        ("InternalError.SearchError", False),
        ("RequestLimitExceeded", False),
        ("FailedOperation", False),
        ("ResponseSizeLimitExceeded", False),
    ],
)
def test_what_only_a_person_can_remedy_is_a_refusal(code: str, refused: bool) -> None:
    assert issubclass(error_class(code), SourceError)
    assert issubclass(error_class(code), SourceRefusedError) is refused


def test_an_internal_error_leaves_open_whether_a_write_was_done_and_a_rate_limit_does_not() -> None:
    assert InternalError.ambiguous
    assert not RequestLimitExceeded.ambiguous
    assert not AuthFailure.ambiguous


def test_the_text_names_action_code_and_request() -> None:
    error = InvalidParameterValueMaxResult("at most 50", action="DescribeEvents", request_id="r-1")

    assert str(error) == "DescribeEvents: InvalidParameterValue.MaxResult: at most 50 (request r-1)"


def test_the_classes_can_be_caught_by_family() -> None:
    assert issubclass(AuthFailureSignatureExpire, AuthFailure)
    assert issubclass(RequestLimitExceededUinLimitExceeded, RequestLimitExceeded)
