"""
Real CloudTrail events, where they lie beside the checkout, and rules for them as people write them.

The events are public ones (AWS services at work, attack simulations, examples) in the folder that TOCSIN_SHARED names,
or in ../shared; none are part of the project. The rules come from one seeded generator like those of
`benchmarks.corpus`, in the same shares: 45 % name an event, 35 % a list, 10 % a service and a list, 5 % are an OR of
ANDs, 5 % name none; each has one to three further conditions. The names that they choose from are those of AWS APIs.
"""

# ruff: noqa: E501  tables of values read better in long lines

from __future__ import annotations

import gzip
import json
import os
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from engine.expression import Lists

KIND: Final = "aws.cloudtrail"
FOLDER: Final = Path(os.environ.get("TOCSIN_SHARED") or Path(__file__).resolve().parents[1].parent / "shared") / "data"
ABSENT: Final = "no CloudTrail events: they are looked for in the folder that TOCSIN_SHARED names, else in ../shared"

_VERBS: Final = ("Create", "Delete", "Put", "Get", "List", "Describe", "Update", "Attach", "Detach", "Modify",
                 "Enable", "Disable", "Start", "Stop", "Add", "Remove")  # fmt: skip
_NOUNS: Final = ("User", "Users", "Role", "Roles", "Policy", "UserPolicy", "RolePolicy", "AccessKey", "AccessKeys",
                 "LoginProfile", "Group", "Bucket", "BucketPolicy", "BucketVersioning", "BucketLifecycle",
                 "BucketReplication", "BucketEncryption", "PublicAccessBlock", "Object", "Trail", "Trails",
                 "EventSelectors", "Logging", "Key", "KeyPolicy", "Alias", "Grant", "Secret", "SecretValue", "Parameter",
                 "Parameters", "Instances", "Instance", "InstanceAttribute", "InstanceProfile", "Image", "ImageAttribute",
                 "Snapshot", "SnapshotAttribute", "Volume", "Volumes", "SecurityGroup", "SecurityGroups", "Vpc", "Vpcs", "Subnets",
                 "NetworkAclEntry", "FlowLogs", "RouteTables", "Route", "DBInstance", "DBSnapshot", "DBCluster",
                 "Function", "FunctionCode", "FunctionConfiguration", "LayerVersion", "Cluster", "Clusters",
                 "Nodegroup", "Detector", "Members", "Findings", "ConfigurationRecorder", "DeliveryChannel", "Rule",
                 "Targets", "Domain", "HostedZone", "ResourceRecordSets", "Certificate", "WebACL", "Account", "Organization",
                 "PermissionSet", "Stack", "Project", "Pipeline", "Queue", "Topic", "Subscription", "Table", "Backup",
                 "Session", "Document", "Association")  # fmt: skip
_BY_THEMSELVES: Final = (
    "PutObject", "GetBucketAcl", "GenerateDataKey", "HeadBucket", "AssumeRole", "ConsoleLogin", "GetCallerIdentity",
    "AssumeRoleWithSAML", "AssumeRoleWithWebIdentity", "GetSessionToken", "GetFederationToken", "GetPasswordData",
    "DescribeInstanceInformation", "RunInstances", "TerminateInstances", "AuthorizeSecurityGroupIngress",
    "AuthorizeSecurityGroupEgress", "RevokeSecurityGroupIngress", "Decrypt", "Encrypt", "ScheduleKeyDeletion",
    "SendCommand", "InvokeModel", "GetFoundationModelAvailability", "ShareSnapshot", "PasswordRecoveryRequested",
    "DeactivateMFADevice", "SwitchRole", "LeaveOrganization", "SimulatePrincipalPolicy",
)  # fmt: skip
NAMES: Final = tuple(
    dict.fromkeys((*_BY_THEMSELVES, *(f"{verb}{noun}" for noun in _NOUNS for verb in _VERBS)))
)  # about as many as the names of benchmarks.corpus
_SERVICES: Final = (
    "s3",
    "iam",
    "ec2",
    "sts",
    "kms",
    "cloudtrail",
    "ssm",
    "rds",
    "lambda",
    "config",
    "signin",
    "bedrock",
)
_REGIONS: Final = ("us-east-1", "us-west-1", "us-west-2", "eu-west-1", "eu-central-1", "ap-southeast-1")
_ERRORS: Final = ("AccessDenied", "Client.UnauthorizedOperation", "AccessDeniedException", "NoSuchBucket",
                  "ValidationError", "ThrottlingException", "NotFoundException", "Client.DryRunOperation")  # fmt: skip
_AGENTS: Final = ("aws-cli", "Boto3", "Terraform", "console", "curl", "kali", "aws-sdk-go", "cloudformation")
_PREFIXES: Final = tuple(f"{a}.{b}." for a in (3, 10, 18, 52, 54, 72, 203) for b in (0, 16, 21, 94, 113))
_POLICIES: Final = ("AdministratorAccess", "IAMFullAccess")
_USERS: Final = ("admin", "backup", "deploy", "terraform", "benjamin", "jenkins", "security-audit", "ops")
_ACCOUNTS: Final = ("123456789012", "342082656213", *(str(111111111111 * digit) for digit in range(1, 10)))

LISTS: Final[Lists] = {
    f"list {number}": frozenset(name.casefold() for name in random.Random(number).sample(NAMES, 2 + number % 49))
    for number in range(200)
}


def events() -> list[bytes]:
    """Every record that is there, written without spaces, as CloudTrail does; none where the folder is absent."""
    found = (event for path in sorted(FOLDER.glob("*.jsonl*")) for event in _events(path))
    return [json.dumps(event, separators=(",", ":")).encode() for event in found]


def _events(path: Path) -> list[dict[str, object]]:
    with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as lines:
        values = [json.loads(line) for line in lines if line.strip()]
    found = (value.get("event", value) for value in values if isinstance(value, dict))  # some say what it is a case of
    return [event for event in found if isinstance(event, dict) and "eventName" in event]


def matches(count: int) -> list[str]:
    """The conditions of *count* rules; the first ones are the same for every count."""
    chance = random.Random(11)
    return [_rule(chance) for _ in range(count)]


def _rule(chance: random.Random) -> str:
    sort = chance.random()
    if sort < 0.45:
        first = [_named(chance)]
    elif sort < 0.80:
        first = [_in_list(chance)]
    elif sort < 0.90:
        first = [_service(chance), _in_list(chance)]
    elif sort < 0.95:
        one, other = (f"{_named(chance)} && {chance.choice(_CONDITIONS)(chance)}" for _ in range(2))
        first = [f"(({one}) || ({other}))"]
    else:
        first = [chance.choice(_SELECTIVE)(chance)]
    return " && ".join([*first, *_further(chance)])


def _named(chance: random.Random) -> str:
    return f"eventName == '{chance.choice(NAMES)}'"


def _in_list(chance: random.Random) -> str:
    if chance.random() < 0.5:
        return f"in_list(eventName, 'list {chance.randrange(len(LISTS))}')"
    names = chance.sample(NAMES, chance.randrange(2, 51))
    return f"contains([{', '.join(repr(name) for name in names)}], eventName)"


def _service(chance: random.Random) -> str:
    service = chance.choice(_SERVICES)
    return chance.choice((f"norm.service == '{service}'", f"eventSource == '{service}.amazonaws.com'"))


def _further(chance: random.Random) -> list[str]:
    """One to three conditions, of which one is about something rare: else a rule would fire all day."""
    rare = chance.choice(_RARE)
    others = [condition for condition in _CONDITIONS if condition is not rare]
    parts = [rare, *chance.sample(others, chance.randrange(3))]
    chance.shuffle(parts)
    return [part(chance) for part in parts]


Sort = Callable[[random.Random], str]

# What a rule that names no event is about.
_SELECTIVE: Final[Sequence[Sort]] = (
    lambda chance: f"userIdentity.type == 'Root' && errorCode == '{chance.choice(_ERRORS)}'",
    lambda chance: f"userIdentity.userName == '{chance.choice(_USERS)}' && norm.outcome == 'denied'",
    lambda chance: (
        f"starts_with(sourceIPAddress, '{chance.choice(_PREFIXES)}') && errorCode == '{chance.choice(_ERRORS)}'"
    ),
)

_RARE: Final[Sequence[Sort]] = (
    lambda _: "norm.outcome == 'denied'",
    lambda chance: f"errorCode == '{chance.choice(_ERRORS)}'",
    lambda chance: f"starts_with(errorCode, '{chance.choice(('Client.', 'Access', 'Throttl'))}')",
    lambda _: "userIdentity.type == 'Root'",
    lambda chance: f"userIdentity.accountId == '{chance.choice(_ACCOUNTS)}'",
    lambda chance: f"starts_with(sourceIPAddress, '{chance.choice(_PREFIXES)}')",
)

_CONDITIONS: Final[Sequence[Sort]] = (
    *_RARE,
    lambda chance: f"norm.outcome == '{chance.choice(('ok', 'failed'))}'",
    lambda chance: f"norm.actor_type == '{chance.choice(('user', 'role', 'service'))}'",
    lambda chance: f"userIdentity.userName != '{chance.choice(_USERS)}'",
    lambda chance: f"contains(userAgent, '{chance.choice(_AGENTS)}')",
    lambda chance: f"awsRegion == '{chance.choice(_REGIONS)}'",
    lambda _: "norm.mfa == `false`",
    lambda _: "userIdentity.sessionContext.attributes.mfaAuthenticated == 'false'",
    lambda chance: f"requestParameters.userName == '{chance.choice(_USERS)}'",
    lambda chance: f"starts_with(requestParameters.bucketName, '{chance.choice(('log', 'prod', 'backup', 'aws-'))}')",
    lambda chance: f"requestParameters.policyArn == 'arn:aws:iam::aws:policy/{chance.choice(_POLICIES)}'",
    lambda _: "requestParameters.publiclyAccessible == `true`",
    lambda _: "contains(requestParameters.roleArn, 'admin')",
)
