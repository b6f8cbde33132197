"""A call that changed a tracking set is audited itself, as in the real service: this writes its inner event."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.emulator.actions import VERSION
from engine.emulator.events import Inner
from engine.emulator.settings import Settings


def audited(
    action: str,
    parameters: Mapping[str, Any],
    response: Mapping[str, Any],
    settings: Settings,
    *,
    region: str,
    client: str,
    request_id: str,
) -> Inner:
    """The inner event of one successful call, in the shape of the 2023 example (629/54488) of an API call."""
    return {
        "userIdentity": {
            "principalId": settings.caller,
            "accountId": settings.account,
            "secretId": settings.secret_id,
            "sessionContext": "",
            "type": "CAMUser",
            "userName": settings.caller,
        },
        "eventRegion": region,
        "eventVersion": 2,
        "errorCode": "0",
        "errorMessage": "",
        "requestID": request_id,
        "eventID": request_id,
        "apiVersion": "3.0",
        "eventType": "ApiCall",
        "actionType": "Write",
        "httpMethod": "POST",
        "apiErrorCode": 0,
        "apiErrorMessage": "",
        "userAgent": "",
        "eventTime": int(settings.now()),
        "sourceIPAddress": client,
        "eventSource": "cloudaudit.tencentcloudapi.com",
        "resources": ["*"],
        "resourceName": "",
        "resourceSet": [],
        "requestParameters": {**parameters, "Version": VERSION},
        "responseElements": {**response, "RequestId": request_id},
        "resourceType": "cloudaudit",
        "eventName": action,
        "sensitiveAction": "1",
        "tags": [""],
    }
