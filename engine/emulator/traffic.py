"""
Made-up audit events: an ordinary working day, and a break-in.

The shapes are those of the real examples: 2021 (API calls of sub-users that say little), 2022 (console calls with a
live session token in sessionContext and in requestParameters), 2023 (with responseElements, without @timestamp).
Every value is drawn from a seed; keys and tokens look real and open nothing.
"""

from __future__ import annotations

import json
import random
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from engine.emulator.events import CHINA, TEXT_TIME, Inner, stamp

ALPHANUMERIC = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
HEX = "0123456789abcdef"
APP_ID = 1250000000
CONSOLE_AGENT = "SDK_NODEJS_0.2.1"
SESSION = 7200  # seconds that a console session lives (629: expireTime is two hours after the call)
OFFICE, ABROAD = "203.0.113.{}", "198.51.100.{}"

Shape = Literal["2021", "2022", "2023"]


@dataclass(frozen=True, slots=True)
class Actor:
    type: Literal["Root", "CAMUser", "AssumedRole"]
    principal: str
    name: str
    address: str
    console: float  # share of calls by the console
    agent: str = "SDK_GO_1.0.374"


@dataclass(frozen=True, slots=True)
class Operation:
    """One API: how often it is called, on what, and with which parameters."""

    product: str
    name: str
    kind: Literal["Read", "Write"]
    weight: int
    resource: str = "*"  # "instance/ins-": an id is added
    parameters: Mapping[str, Any] | None = None


OPERATIONS: tuple[Operation, ...] = (
    Operation("cvm", "DescribeInstances", "Read", 30, parameters={"Limit": 20, "Offset": 0}),
    Operation("cvm", "DescribeInstancesStatus", "Read", 18, parameters={"Limit": 100}),
    Operation("cvm", "DescribeZones", "Read", 8),
    Operation("cvm", "DescribeImages", "Read", 6, parameters={"Limit": 20}),
    Operation("cvm", "RunInstances", "Write", 2, "instance/ins-", {"InstanceCount": 1, "InstanceType": "S5.MEDIUM4"}),
    Operation("cvm", "StopInstances", "Write", 3, "instance/ins-", {"StopType": "SOFT_FIRST"}),
    Operation("cvm", "StartInstances", "Write", 3, "instance/ins-"),
    Operation("cvm", "RebootInstances", "Write", 2, "instance/ins-"),
    Operation("cvm", "ModifyInstancesAttribute", "Write", 2, "instance/ins-", {"InstanceName": "web"}),
    Operation("cbs", "DescribeDisks", "Read", 14, parameters={"Limit": 20}),
    Operation("cbs", "DescribeSnapshots", "Read", 8),
    Operation("cbs", "CreateSnapshot", "Write", 4, "volume/disk-", {"SnapshotName": "nightly"}),
    Operation("vpc", "DescribeVpcs", "Read", 9),
    Operation("vpc", "DescribeSubnets", "Read", 9),
    Operation("vpc", "DescribeSecurityGroups", "Read", 8),
    Operation("vpc", "ModifySubnetAttribute", "Write", 1, "subnet/subnet-", {"SubnetName": "apps"}),
    Operation("clb", "DescribeLoadBalancers", "Read", 10, parameters={"Limit": 20}),
    Operation("clb", "RegisterTargets", "Write", 5, "clb/lb-", {"ListenerId": "lbl-1"}),
    Operation("clb", "DeregisterTargets", "Write", 4, "clb/lb-", {"ListenerId": "lbl-1"}),
    Operation("cos", "GetService", "Read", 8),
    Operation("cos", "GetBucketLifecycle", "Read", 5, f"logs-{APP_ID}/"),
    Operation("cos", "GetBucketTagging", "Read", 5, f"assets-{APP_ID}/"),
    Operation("cos", "PutBucketTagging", "Write", 1, f"assets-{APP_ID}/"),
    Operation("cam", "ListUsers", "Read", 4),
    Operation("cam", "GetUser", "Read", 5, parameters={"Name": "ann"}),
    Operation("cam", "DescribeRoleList", "Read", 4, parameters={"Page": 1, "Rp": 20}),
    Operation("cam", "ListAttachedUserPolicies", "Read", 3),
    Operation("tke", "DescribeClusters", "Read", 12, parameters={"Limit": 20}),
    Operation("tke", "DescribeClusterInstances", "Read", 9, "cluster/cls-"),
    Operation("tke", "ModifyClusterNodePool", "Write", 2, "cluster/cls-", {"MaxNodesNum": 6, "MinNodesNum": 2}),
    Operation("monitor", "GetMonitorData", "Read", 30, parameters={"Namespace": "QCE/CVM", "Period": 60}),
    Operation("monitor", "DescribeBaseMetrics", "Read", 8, parameters={"Namespace": "QCE/CDB"}),
    Operation("cdb", "DescribeDBInstances", "Read", 10, parameters={"Limit": 20}),
    Operation("cdb", "CreateBackup", "Write", 2, "instanceId/cdb-", {"BackupMethod": "physical"}),
    Operation("cloudaudit", "DescribeEvents", "Read", 6, parameters={"MaxResults": 50}),
    Operation("sts", "GetCallerIdentity", "Read", 5),
)


def ordinary(seed: int, start: float, end: float, rate: float, account: str = "100000000001") -> Iterator[Inner]:
    """
    Inner events of an ordinary time from *start* to *end* (epoch seconds), *rate* a second on average, oldest first.

    Sub-users and roles read and write; one call in about 150 is denied by CAM, one in 100 fails in the service. Root
    does nothing, nobody touches identities, and every console session has passed MFA. Same arguments, same events.
    """
    draw = random.Random(f"{seed}:ordinary")  # noqa: S311  # repeatable, not secret
    people = _people(draw, account)
    weights = [operation.weight for operation in OPERATIONS]
    at = start + draw.expovariate(rate)
    while at < end:
        actor = draw.choice(people)
        (operation,) = draw.choices(OPERATIONS, weights)
        fate = draw.random()
        event = call(
            draw,
            at,
            account,
            actor,
            operation.product,
            operation.name,
            operation.kind,
            parameters=operation.parameters or {},
            resource=_resource(draw, operation.resource),
        )
        if fate < 1 / 150:
            event["errorCode"] = "4102"
            event["errorMessage"] = (
                f"you are not authorized to perform operation ({operation.product}:{operation.name})"
            )
            event["apiErrorCode"] = "UnauthorizedOperation"
        elif fate < 1 / 60:
            event["apiErrorCode"] = draw.choice(("InvalidParameterValue", "ResourceNotFound", "InternalError"))
            event["apiErrorMessage"] = "the request failed"
        yield event
        at += draw.expovariate(rate)


def intrusion(start: float, account: str = "100000000001", *, seed: int = 0, track_id: int = 1) -> list[Inner]:
    """
    Inner events of a break-in that begins at *start* (epoch seconds) and takes about a minute, oldest first.

    Root signs in without MFA from an unknown place, makes a key, attaches AdministratorAccess to a sub-user, opens a
    security group to the world on port 22 with the new key, and switches off the tracking set *track_id*.
    """
    draw = random.Random(f"{seed}:intrusion")  # noqa: S311  # repeatable, not secret
    address = ABROAD.format(draw.randrange(10, 250))
    root = Actor("Root", account, "root", address, console=1)
    script = Actor("Root", account, "root", address, console=0, agent="SDK_PYTHON_3.1.39")
    key_id, key = "AKID" + _text(draw, ALPHANUMERIC, 32), _text(draw, ALPHANUMERIC, 32)
    sub_user = str(int(account) + 48)

    def console(after: float, product: str, name: str, parameters: Mapping[str, Any], **more: Any) -> Inner:
        return call(draw, start + after, account, root, product, name, "Write", parameters=parameters, mfa=0, **more)

    login = console(0, "account", "ConsoleLogin", {"loginType": "password"}, shape="2022")
    login["eventSource"] = "account.tencentcloudapi.com"
    new_key = console(
        14,
        "cam",
        "CreateApiKey",
        {"TargetUin": int(account)},
        response={"SecretId": key_id, "SecretKey": key, "Status": 2, "CreateTime": _china(start + 14)},
        shape="2023",
    )
    admin = console(
        27,
        "cam",
        "AttachUserPolicy",
        {"PolicyId": 1, "PolicyName": "AdministratorAccess", "AttachUin": int(sub_user)},
        shape="2023",
        resource=f"uin/{sub_user}",
    )
    group = "sg-" + _text(draw, HEX, 8)
    opened = call(
        draw,
        start + 41,
        account,
        script,
        "vpc",
        "CreateSecurityGroupPolicies",
        "Write",
        parameters={
            "SecurityGroupId": group,
            "SecurityGroupPolicySet": {
                "Ingress": [{"Protocol": "TCP", "Port": "22", "CidrBlock": "0.0.0.0/0", "Action": "ACCEPT"}]
            },
        },
        resource=f"sg/{group}",
        shape="2023",
    )
    opened["userIdentity"]["secretId"] = key_id
    blind = console(
        55, "cloudaudit", "ModifyAuditTrack", {"TrackId": track_id, "Status": 0}, shape="2023", sensitive=True
    )
    return [login, new_key, admin, opened, blind]


def call(
    draw: random.Random,
    at: float,
    account: str,
    actor: Actor,
    product: str,
    name: str,
    kind: Literal["Read", "Write"],
    *,
    parameters: Mapping[str, Any],
    response: Mapping[str, Any] | None = None,
    resource: str = "*",
    mfa: int = 1,
    sensitive: bool = False,
    shape: Shape | None = None,
) -> Inner:
    """The inner event of one successful call; without *shape* the vintage is drawn."""
    by_console = draw.random() < actor.console
    shape = shape or ("2021" if not by_console and draw.random() < 0.5 else draw.choice(("2022", "2023")))
    event_id = str(uuid.UUID(int=draw.getrandbits(128), version=4))
    region = "ap-guangzhou" if by_console else draw.choice(("ap-guangzhou", "ap-guangzhou", "ap-singapore"))
    key_id = "AKID" + _text(draw, ALPHANUMERIC, 64 if by_console or actor.type == "AssumedRole" else 32)
    token = _text(draw, ALPHANUMERIC, 120)
    silent = shape == "2021"  # sub-users' API calls of that time name neither key, address nor parameters
    event: Inner = {
        "userIdentity": {
            "principalId": actor.principal,
            "accountId": account,
            "secretId": "" if silent else key_id,
            "type": actor.type,
            "userName": actor.principal if actor.type == "CAMUser" and draw.random() < 0.5 else actor.name,
            "sessionContext": _session(draw, at, account, actor, token, mfa) if by_console else "",
        },
        "eventRegion": region,
        "eventVersion": 2,
        "errorCode": "0",
        "errorMessage": "" if shape == "2023" else "permission verify",
        "requestID": event_id,
        "eventID": event_id,
        "apiVersion": "3.0",
        "eventType": "ConsoleCall" if by_console else "ApiCall",
        "actionType": kind,
        "httpMethod": "POST",
        "apiErrorCode": draw.choice((0, "0")),
        "apiErrorMessage": "",
        "userAgent": CONSOLE_AGENT if by_console else "" if silent else actor.agent,
        "eventTime": int(at),
        "sensitiveAction": "1" if sensitive else "",
        "sourceIPAddress": "" if silent else actor.address,
        "resourceType": product,
        "eventName": name,
        "eventSource": f"{product}.{region}.api.tencentyun.com" if by_console else f"{product}.tencentcloudapi.com",
        "resources": _listed(draw, product, region, account, resource),
        "resourceName": "" if resource == "*" else resource,
        "requestParameters": "",
    }
    if not silent:
        sent = dict(parameters)
        if by_console:
            sent = {**_console_parameters(draw, at, actor, name, region, key_id, token), **sent}
        event["requestParameters"] = _json(draw, sent)
    if shape == "2023":
        answered = {**(response or {}), "RequestId": event_id}
        event |= {"resourceSet": [], "tags": [""], "responseElements": _json(draw, answered)}
        return event
    return event | {
        "@timestamp": stamp(at + draw.uniform(1, 8)),
        "onlyRecordNotSeen": "0",
        "eventPlatform": "0",
        "authMode": "0" if by_console else "2",
        "isRisk": "0",
        "ruleId": "0",
        "cliIp": event["sourceIPAddress"],
        "cloudapi": 1 if by_console else 0,
        "auth": 1,
        "signature": 0,
        **({"tags": [""]} if shape == "2022" else {}),
    }


def _people(draw: random.Random, account: str) -> list[Actor]:
    first = int(account)
    people = [
        Actor("CAMUser", str(first + 40 + n), name, OFFICE.format(draw.randrange(10, 60)), console=0.8)
        for n, name in enumerate(("ann", "bob", "chen.wei", "dora", "li.na", "omar"))
    ]
    robots = [
        Actor("CAMUser", str(first + 60), "monitoring", "192.0.2.7", console=0, agent="SDK_PYTHON_3.0.900"),
        Actor("CAMUser", str(first + 61), "terraform", "192.0.2.8", console=0, agent="SDK_GO_1.0.374"),
    ]
    roles = [
        Actor("AssumedRole", "4611686018427900001", "ci-deployer", "192.0.2.20", console=0, agent="SDK_GO_1.0.374"),
        Actor("AssumedRole", "4611686018427900002", "TKE_QCSRole", "", console=0, agent=""),
    ]
    return [*people, *robots, *robots, *roles]


def _session(draw: random.Random, at: float, account: str, actor: Actor, token: str, mfa: int) -> str:
    """sessionContext of a console call: JSON in a string, with the live token; extraInfo is JSON in a string again."""
    extra = {"dictId": draw.randrange(2000, 3000), "mfaExpireTime": _china(at + 1200), "sessionUin": 5000}
    context = {
        "token": token,
        "ua": _text(draw, HEX, 32),
        "userIp": actor.address,
        "uin": int(actor.principal),
        "ownerUin": int(account),
        "appId": APP_ID,
        "expireTime": _china(at + SESSION),
        "mfa": mfa,
        "mfaExpireTime": "0000-00-00 00:00:00",
        "interfaceName": "",
        "hasPolicyFilter": 0,
        "policyFilter": "",
        "extraInfo": json.dumps(extra, separators=(",", ":")) if mfa else "",
    }
    return json.dumps(context)


def _console_parameters(
    draw: random.Random, at: float, actor: Actor, name: str, region: str, key_id: str, token: str
) -> dict[str, Any]:
    return {
        "Region": region,
        "SecretId": key_id,
        "Timestamp": str(int(at)),
        "Nonce": str(draw.randrange(10_000, 99_999)),
        "RequestClient": CONSOLE_AGENT,
        "Action": name,
        "RequestOperator": actor.principal,
        "Token": token,
        "RequestSource": "MC",
        "seqId": str(uuid.UUID(int=draw.getrandbits(128), version=4)),
    }


def _resource(draw: random.Random, pattern: str) -> str:
    return pattern + _text(draw, ALPHANUMERIC[26:], 8) if pattern.endswith("-") else pattern


def _listed(draw: random.Random, product: str, region: str, account: str, resource: str) -> str:
    """`resources`: a list of QCS names as JSON in a string, sometimes with the escaped slashes of PHP."""
    name = "*" if resource == "*" else f"qcs::{product}:{region}:uin/{account}:{resource}"
    written = json.dumps([name])
    return written.replace("/", "\\/") if draw.random() < 0.5 else written


def _json(draw: random.Random, value: Mapping[str, Any]) -> str:
    """With and without blanks: both are seen."""
    return json.dumps(value) if draw.random() < 0.5 else json.dumps(value, separators=(",", ":"))


def _china(at: float) -> str:
    return datetime.fromtimestamp(at, CHINA).strftime(TEXT_TIME)


def _text(draw: random.Random, letters: str, length: int) -> str:
    return "".join(draw.choices(letters, k=length))
