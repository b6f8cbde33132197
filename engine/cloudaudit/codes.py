"""
The documented error codes of CloudAudit below the families of `errors`: one class each, the docstring is the meaning.

Sources: API documentation of CloudAudit, "Error Codes", and the error lists of each action's page (CreateAudit's is
tencentcloud.com/document/api/1021/34208); API 3.0 "Common Error Codes"; tencentcloud-sdk-python-cloudaudit 3.1,
errorcodes.py.
"""

from __future__ import annotations

from engine.cloudaudit.errors import (
    CODES,
    ApiError,
    AuthFailure,
    FailedOperation,
    InternalError,
    InvalidParameter,
    InvalidParameterValue,
    LimitExceeded,
    MissingParameter,
    RequestLimitExceeded,
    ResourceInUse,
    ResourceNotFound,
    Retry,
)
from engine.errors import SourceRefusedError


def error_class(code: str) -> type[ApiError]:
    """The class for *code*, or for its first dotted part, or ApiError itself."""
    return CODES.get(code) or CODES.get(code.partition(".")[0]) or ApiError


class AuthFailureInvalidAuthorization(AuthFailure, code="AuthFailure.InvalidAuthorization"):
    """The Authorization header is not in the form the API wants."""


class AuthFailureInvalidSecretId(AuthFailure, code="AuthFailure.InvalidSecretId"):
    """The SecretId is not one of a Tencent Cloud API key."""


class AuthFailureMFAFailure(AuthFailure, code="AuthFailure.MFAFailure"):
    """The second factor was refused."""


class AuthFailureSecretIdNotFound(AuthFailure, code="AuthFailure.SecretIdNotFound"):
    """There is no such SecretId: deleted, disabled, or mistyped (blanks before or after count)."""


class AuthFailureSignatureExpire(AuthFailure, code="AuthFailure.SignatureExpire"):
    """The request's time and the server's differ by more than five minutes."""

    retry = Retry.AFTER_CLOCK_CHECK


class AuthFailureSignatureFailure(AuthFailure, code="AuthFailure.SignatureFailure"):
    """The signature is wrong: the SecretKey does not belong to the SecretId, or a proxy changed the request."""


class AuthFailureTokenFailure(AuthFailure, code="AuthFailure.TokenFailure"):
    """The token of the temporary key is wrong or has ended."""

    retry = Retry.AFTER_CREDENTIAL_REFRESH


class AuthFailureUnauthorizedOperation(AuthFailure, code="AuthFailure.UnauthorizedOperation"):
    """The key may not do this: its CAM policy does not allow the action."""


class FailedOperationCheckClsTopicIsExistFailed(FailedOperation, code="FailedOperation.CheckClsTopicIsExistFailed"):
    """It could not be checked whether the CLS topic exists."""


class FailedOperationCheckCosBucketIsExistFailed(FailedOperation, code="FailedOperation.CheckCosBucketIsExistFailed"):
    """It could not be checked whether the COS bucket exists."""


class FailedOperationCreateBucketFail(FailedOperation, code="FailedOperation.CreateBucketFail"):
    """The COS bucket could not be created."""


class FailedOperationGetClsTopicFailed(FailedOperation, code="FailedOperation.GetClsTopicFailed"):
    """The CLS topic could not be read."""


class FailedOperationGetCosBucketListFailed(FailedOperation, code="FailedOperation.GetCosBucketListFailed"):
    """The list of COS buckets could not be read."""


class FailedOperationMemberNotAuditRole(FailedOperation, SourceRefusedError, code="FailedOperation.MemberNotAuditRole"):
    """The member account has not opened its audit log to this one."""


class FailedOperationMemberNotInOrganization(
    FailedOperation, SourceRefusedError, code="FailedOperation.MemberNotInOrganization"
):
    """The account is not a member of the organisation."""


class InternalErrorCmqError(InternalError, code="InternalError.CmqError"):
    """The CMQ queue could not be created: it exists, a permission is missing, or the account owes money."""

    retry = Retry.NEVER


class InternalErrorCreateAuditError(InternalError, code="InternalError.CreateAuditError"):
    """The tracking set could not be created."""


class InternalErrorDeleteAuditError(InternalError, code="InternalError.DeleteAuditError"):
    """The tracking set could not be deleted."""


class InternalErrorDescribeAuditError(InternalError, code="InternalError.DescribeAuditError"):
    """The tracking set could not be read."""


class InternalErrorInquireAuditCreditError(InternalError, code="InternalError.InquireAuditCreditError"):
    """The number of tracking sets that may still be created could not be read."""


class InternalErrorListAuditsError(InternalError, code="InternalError.ListAuditsError"):
    """The tracking sets could not be listed."""


class InternalErrorListCmqEnableRegionError(InternalError, code="InternalError.ListCmqEnableRegionError"):
    """The CMQ regions could not be listed."""


class InternalErrorListCosEnableRegionError(InternalError, code="InternalError.ListCosEnableRegionError"):
    """The COS regions could not be listed."""


class InternalErrorListKeyAliasByRegionError(InternalError, code="InternalError.ListKeyAliasByRegionError"):
    """The KMS keys could not be listed."""


class InternalErrorSearchError(InternalError, code="InternalError.SearchError"):
    """The search for events failed."""


class InternalErrorStartLoggingError(InternalError, code="InternalError.StartLoggingError"):
    """The tracking set could not be switched on."""


class InternalErrorStopLoggingError(InternalError, code="InternalError.StopLoggingError"):
    """The tracking set could not be switched off."""


class InternalErrorUpdateAuditError(InternalError, code="InternalError.UpdateAuditError"):
    """The tracking set could not be changed."""


class InvalidParameterTime(InvalidParameter, code="InvalidParameter.Time"):
    """StartTime and EndTime must both be there, as whole epoch seconds."""


class InvalidParameterValueAliasAlreadyExists(InvalidParameterValue, code="InvalidParameterValue.AliasAlreadyExists"):
    """A tracking set of this name exists already."""


class InvalidParameterValueAuditNameError(InvalidParameterValue, code="InvalidParameterValue.AuditNameError"):
    """The tracking set's name is not allowed."""


class InvalidParameterValueAuditTrackNameNotSupportModify(
    InvalidParameterValue, code="InvalidParameterValue.AuditTrackNameNotSupportModify"
):
    """The name of a tracking set cannot be changed."""


class InvalidParameterValueCmqRegionError(InvalidParameterValue, code="InvalidParameterValue.CmqRegionError"):
    """CloudAudit does not support this CMQ region."""


class InvalidParameterValueCosNameError(InvalidParameterValue, code="InvalidParameterValue.CosNameError"):
    """The COS bucket's name is not allowed."""


class InvalidParameterValueCosRegionError(InvalidParameterValue, code="InvalidParameterValue.CosRegionError"):
    """CloudAudit does not support this COS region."""


class InvalidParameterValueIsCreateNewBucketError(
    InvalidParameterValue, code="InvalidParameterValue.IsCreateNewBucketError"
):
    """IsCreateNewBucket is 1 (create the bucket) or 0."""


class InvalidParameterValueIsCreateNewQueueError(
    InvalidParameterValue, code="InvalidParameterValue.IsCreateNewQueueError"
):
    """IsCreateNewQueue is 1 (create the queue) or 0."""


class InvalidParameterValueIsEnableCmqNotifyError(
    InvalidParameterValue, code="InvalidParameterValue.IsEnableCmqNotifyError"
):
    """IsEnableCmqNotify is 1 (deliver to CMQ) or 0."""


class InvalidParameterValueKmsRegionError(InvalidParameterValue, code="InvalidParameterValue.KmsRegionError"):
    """CloudAudit does not support KMS in this region, or it is not the bucket's."""


class InvalidParameterValueLogFilePrefixError(InvalidParameterValue, code="InvalidParameterValue.LogFilePrefixError"):
    """The prefix of log files is not 3 to 40 letters and digits."""


class InvalidParameterValueMaxResult(InvalidParameterValue, code="InvalidParameterValue.MaxResult"):
    """One page holds at most 50 events."""


class InvalidParameterValueQueueNameError(InvalidParameterValue, code="InvalidParameterValue.QueueNameError"):
    """The queue's name is not allowed."""


class InvalidParameterValueReadWriteAttributeError(
    InvalidParameterValue, code="InvalidParameterValue.ReadWriteAttributeError"
):
    """ReadWriteAttribute is 1 (read), 2 (write) or 3 (both)."""


class InvalidParameterValueTime(InvalidParameterValue, code="InvalidParameterValue.Time"):
    """StartTime is after EndTime."""


class InvalidParameterValueAttributeKey(InvalidParameterValue, code="InvalidParameterValue.attributeKey"):
    """There is no such AttributeKey."""


class LimitExceededOverAmount(LimitExceeded, code="LimitExceeded.OverAmount"):
    """There may be no more tracking sets."""


class LimitExceededOverTime(LimitExceeded, code="LimitExceeded.OverTime"):
    """The span of time is longer, or begins earlier, than may be searched."""


class MissingParameterMissAuditName(MissingParameter, code="MissingParameter.MissAuditName"):
    """AuditName is absent."""


class MissingParameterMissCosBucketName(MissingParameter, code="MissingParameter.MissCosBucketName"):
    """CosBucketName is absent."""


class MissingParameterMissCosRegion(MissingParameter, code="MissingParameter.MissCosRegion"):
    """CosRegion is absent."""


class MissingParameterCmq(MissingParameter, code="MissingParameter.cmq"):
    """With IsEnableCmqNotify 1, IsCreateNewQueue, CmqQueueName and CmqRegion are required."""


class RequestLimitExceededGlobalRegionUinLimitExceeded(
    RequestLimitExceeded, code="RequestLimitExceeded.GlobalRegionUinLimitExceeded"
):
    """Too many requests of this account over all regions."""


class RequestLimitExceededIPLimitExceeded(RequestLimitExceeded, code="RequestLimitExceeded.IPLimitExceeded"):
    """Too many requests from this address."""


class RequestLimitExceededUinLimitExceeded(RequestLimitExceeded, code="RequestLimitExceeded.UinLimitExceeded"):
    """Too many requests of this account."""


class ResourceInUseAlreadyExistsSameAudit(ResourceInUse, code="ResourceInUse.AlreadyExistsSameAudit"):
    """A tracking set of this name exists already."""


class ResourceInUseAlreadyExistsSameAuditCmqConfig(ResourceInUse, code="ResourceInUse.AlreadyExistsSameAuditCmqConfig"):
    """A tracking set with this CMQ delivery exists already."""


class ResourceInUseAlreadyExistsSameAuditCosConfig(ResourceInUse, code="ResourceInUse.AlreadyExistsSameAuditCosConfig"):
    """A tracking set with this COS delivery exists already."""


class ResourceInUseCosBucketExists(ResourceInUse, code="ResourceInUse.CosBucketExists"):
    """The COS bucket exists already."""


class ResourceNotFoundAuditNotExist(ResourceNotFound, code="ResourceNotFound.AuditNotExist"):
    """There is no such tracking set."""


class ResourceNotFoundCosNotExist(ResourceNotFound, code="ResourceNotFound.CosNotExist"):
    """There is no such COS bucket."""


class ResourceNotFoundRoleNotExist(ResourceNotFound, code="ResourceNotFound.RoleNotExist"):
    """The service role that CloudAudit delivers with does not exist."""
