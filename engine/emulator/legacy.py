"""
The tracking sets of old: CreateAudit and its kin.

Rules and codes: CreateAudit (tencentcloud.com/document/product/1021/34208), UpdateAudit (629/35341), and the errors of
both as Tencent's Go SDK lists them (tencentcloud/cloudaudit/v20190319/client.go, errors.go).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from engine.emulator.answers import RefusalError, invalid, missing, wrong
from engine.emulator.parameters import Schema, integer, string
from engine.emulator.tracks import COS_REGIONS, check_credit

NAME = re.compile(r"[A-Za-z0-9_]{3,128}", re.ASCII)
BUCKET = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?", re.ASCII)
QUEUE = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,63}", re.ASCII)
PREFIX = re.compile(r"[A-Za-z0-9]{3,40}", re.ASCII)
CMQ_REGIONS = COS_REGIONS | {"bj", "ca", "cd", "cq", "gz", "hk", "sg", "sh"}  # CMQ has its own short names, too
QUEUE_PARAMETERS = ("IsCreateNewQueue", "CmqQueueName", "CmqRegion")

CREATE: Schema = {
    "AuditName": string(required=True, absent="MissingParameter.MissAuditName"),
    "CosBucketName": string(required=True, absent="MissingParameter.MissCosBucketName"),
    "CosRegion": string(required=True, absent="MissingParameter.MissCosRegion"),
    "IsCreateNewBucket": integer(required=True),
    "IsEnableCmqNotify": integer(required=True),
    "ReadWriteAttribute": integer(required=True),
    "LogFilePrefix": string(),
    "CmqQueueName": string(),
    "CmqRegion": string(),
    "IsCreateNewQueue": integer(),
    "IsEnableKmsEncry": integer(),
    "KmsRegion": string(),
    "KeyId": string(),
}
BY_NAME: Schema = {"AuditName": string(required=True)}

SUMMARY = ("AuditStatus", "CosBucketName", "AuditName", "LogFilePrefix")
DETAILS: Mapping[str, Any] = {  # of DescribeAudit, with what stands for "not given"
    "AuditName": "",
    "AuditStatus": 0,
    "CosBucketName": "",
    "CosRegion": "",
    "LogFilePrefix": "",
    "ReadWriteAttribute": 3,
    "IsEnableCmqNotify": 0,
    "CmqQueueName": "",
    "CmqRegion": "",
    "IsEnableKmsEncry": 0,
    "KeyId": "",
    "KmsAlias": "",
    "KmsRegion": "",
}


def checked(audit: Mapping[str, Any]) -> None:
    """Raises RefusalError where a value, or values together, break a documented rule."""
    if not NAME.fullmatch(audit["AuditName"]):
        raise wrong(
            "AuditName must have 3 to 128 letters, digits and underscores.", "InvalidParameterValue.AuditNameError"
        )
    for flag in ("IsCreateNewBucket", "IsEnableCmqNotify", "IsCreateNewQueue"):
        if audit.get(flag, 0) not in (0, 1):
            raise wrong(f"{flag} is neither 0 nor 1.", f"InvalidParameterValue.{flag}Error")
    if audit.get("IsEnableKmsEncry", 0) not in (0, 1):
        raise wrong("IsEnableKmsEncry is neither 0 nor 1.")
    if audit["ReadWriteAttribute"] not in (1, 2, 3):
        raise wrong("ReadWriteAttribute is none of 1, 2 and 3.", "InvalidParameterValue.ReadWriteAttributeError")
    if not BUCKET.fullmatch(audit["CosBucketName"]):
        raise wrong(
            "CosBucketName must have 1 to 40 lower-case letters, digits and hyphens, no hyphen first or last.",
            "InvalidParameterValue.CosNameError",
        )
    if audit["CosRegion"] not in COS_REGIONS:
        raise wrong("COS has no such region.", "InvalidParameterValue.CosRegionError")
    if audit.get("LogFilePrefix") and not PREFIX.fullmatch(audit["LogFilePrefix"]):
        raise wrong("LogFilePrefix must have 3 to 40 letters and digits.", "InvalidParameterValue.LogFilePrefixError")
    _check_queue(audit)
    _check_encryption(audit)


def _check_queue(audit: Mapping[str, Any]) -> None:
    given = [name for name in QUEUE_PARAMETERS if name in audit]
    if not audit["IsEnableCmqNotify"]:
        if given:
            raise invalid(f"With IsEnableCmqNotify 0 there must be no {', '.join(given)}.")
        return
    if len(given) < len(QUEUE_PARAMETERS):
        raise RefusalError(
            "MissingParameter.cmq",
            "With IsEnableCmqNotify 1 IsCreateNewQueue, CmqQueueName and CmqRegion are required.",
        )
    if not QUEUE.fullmatch(audit["CmqQueueName"]):
        raise wrong(
            "CmqQueueName must begin with a letter and have up to 64 letters, digits and hyphens.",
            "InvalidParameterValue.QueueNameError",
        )
    if audit["CmqRegion"] not in CMQ_REGIONS:
        raise wrong("CMQ has no such region.", "InvalidParameterValue.CmqRegionError")


def _check_encryption(audit: Mapping[str, Any]) -> None:
    if not audit.get("IsEnableKmsEncry"):
        return
    for name in ("KmsRegion", "KeyId"):
        if not audit.get(name):
            raise missing(name)
    if audit["KmsRegion"] != audit["CosRegion"]:
        raise wrong("KmsRegion must be the region of the bucket.", "InvalidParameterValue.KmsRegionError")


def _place(audit: Mapping[str, Any]) -> tuple[str, str, str]:
    return audit["CosRegion"], audit["CosBucketName"], audit.get("LogFilePrefix", "")


def _queue(audit: Mapping[str, Any]) -> tuple[object, object]:
    return audit.get("CmqRegion"), audit.get("CmqQueueName")


class LegacySets:
    """Sets made by CreateAudit, by name, oldest first."""

    def __init__(self) -> None:
        self._sets: dict[str, dict[str, Any]] = {}

    def __len__(self) -> int:
        return len(self._sets)

    def create(self, wanted: Mapping[str, Any], *, credit: int) -> None:
        """One more, switched on; *credit* more are allowed. Raises RefusalError."""
        checked(wanted)
        if wanted["AuditName"] in self._sets:
            raise RefusalError("ResourceInUse.AlreadyExistsSameAudit", "A tracking set has this name already.")
        others = list(self._sets.values())
        if wanted["IsCreateNewBucket"] and _place(wanted)[:2] in [_place(other)[:2] for other in others]:
            raise RefusalError("ResourceInUse.CosBucketExists", "The bucket exists already.")
        if _place(wanted) in [_place(other) for other in others]:
            raise RefusalError(
                "ResourceInUse.AlreadyExistsSameAuditCosConfig", "A tracking set delivers to the same place in COS."
            )
        if wanted["IsEnableCmqNotify"] and _queue(wanted) in [_queue(other) for other in others]:
            raise RefusalError(
                "ResourceInUse.AlreadyExistsSameAuditCmqConfig", "A tracking set delivers to the same queue."
            )
        check_credit(credit)
        self._sets[wanted["AuditName"]] = {**wanted, "AuditStatus": 1}

    def one(self, name: str) -> dict[str, Any]:
        if name not in self._sets:
            raise RefusalError("ResourceNotFound.AuditNotExist", "There is no tracking set of this name.")
        return self._sets[name]

    def switch(self, name: str, status: int) -> None:
        self.one(name)["AuditStatus"] = status

    def delete(self, name: str) -> None:
        self.one(name)
        del self._sets[name]

    def details(self, name: str) -> dict[str, Any]:
        audit = self.one(name)
        return {field: audit.get(field, absent) for field, absent in DETAILS.items()}

    def listed(self) -> dict[str, Any]:
        return {"AuditSummarys": [{name: audit.get(name, "") for name in SUMMARY} for audit in self._sets.values()]}
