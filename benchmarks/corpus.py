"""
A corpus and rules to measure with: CloudAudit events in their documented shape, and rules as people write them.

Everything comes from one seeded generator: the same numbers are the same events and the same rules, everywhere. Shapes
follow the example events of API documents 629/54488 and 1021/40499: an outer event whose CloudAuditEvent is JSON in a
string, in which sessionContext, requestParameters, resources and responseElements are JSON in strings again; about
2.8 KB each. Names and callers are Zipf-distributed, nine in ten calls come from the caller's usual address; 1 % of
events have a field missing, null or of another type; 4 % write letters of nested texts as \\u escapes.
"""

# ruff: noqa: E501  tables of values read better in long lines

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import accumulate
from typing import Any, Final

from engine.errors import Place
from engine.expression import Lists, parse, parse_template
from engine.rule import Rule, RuleSet, Severity, Status

_VERBS: Final = (
    "Describe",
    "Create",
    "Delete",
    "Modify",
    "Attach",
    "Detach",
    "Get",
    "List",
    "Set",
    "Update",
    "Run",
    "Stop",
)
_NOUNS: Final = ("User", "Policy", "AccessKey", "Instances", "Disks", "SecurityGroup", "Bucket", "Role", "Track", "Key",
                 "Cluster", "Image", "Subnet", "Route", "Backup", "Domain", "Record", "Secret", "Group", "Snapshot")  # fmt: skip
_SERVICES: Final = ("cvm", "cam", "vpc", "cos", "cbs", "cdb", "tke", "kms", "ssm", "cls", "monitor", "dnspod", "tcr")
_REGIONS: Final = ("ap-guangzhou", "ap-shanghai", "ap-beijing", "ap-singapore", "eu-frankfurt", "na-siliconvalley")
_ERRORS: Final = ("UnauthorizedOperation.CamNoAuth", "AuthFailure.SecretIdNotFound", "InvalidParameterValue", "ResourceNotFound",
                  "LimitExceeded", "FailedOperation", "AuthFailure.TokenFailure", "InternalError")  # fmt: skip
_AGENTS: Final = ("SDK_NODEJS_0.2.1", "SDK_GO_1.0.374", "SDK_PYTHON_3.0.1103", "tccli/3.0.1", "Terraform/1.5", "curl/8.1",
                  "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36", "Boto3/1.26 Python/3.11")  # fmt: skip
_KEYS: Final = ("InstanceIds", "PolicyId", "TargetUin", "SecurityGroupId", "CidrBlock", "Port", "Protocol", "Action", "UserName",
                "BucketName", "ClusterId", "ImageId", "InstanceType", "Zone", "VpcId", "SubnetId", "Force", "Reason")  # fmt: skip
_PREFIXES: Final = tuple(f"{a}.{b}." for a in (10, 43, 81, 101, 119, 203) for b in (0, 16, 32, 64, 113))
_PEOPLE: Final = tuple(100_000_000_000 + number for number in range(400))
_HOW_BUSY: Final = tuple(accumulate(1 / (rank + 3) for rank in range(400)))
NAMES: Final = tuple(
    f"{verb}{noun}{suffix}"
    for suffix in ("", "Attributes", "Status", "V2", "Config", "Info")
    for noun in _NOUNS
    for verb in _VERBS
)[:1393]

LISTS: Final[Lists] = {
    f"list {number}": frozenset(name.casefold() for name in random.Random(number).sample(NAMES, 2 + number % 49))
    for number in range(200)
}


def events(count: int, seed: int = 7) -> list[bytes]:
    """*count* records; those of another *seed* are of the same people and APIs, and no record is in both."""
    chance = random.Random(seed)
    weights = [1 / (rank + 3) for rank in range(len(NAMES))]
    return [_record(name, chance) for name in chance.choices(NAMES, weights, k=count)]


def _record(name: str, chance: random.Random) -> bytes:
    uin, owner = chance.choices(_PEOPLE, cum_weights=_HOW_BUSY)[0], 100_000_000_000
    service, region = chance.choice(_SERVICES), chance.choice(_REGIONS)
    root, console = chance.random() < 0.05, chance.random() < 0.5
    failed = chance.random() < 0.12
    event_id = f"{chance.getrandbits(128):032x}"
    event_id = "-".join((event_id[:8], event_id[8:12], event_id[12:16], event_id[16:20], event_id[20:]))
    time = 1_700_000_000 + chance.randrange(10_000_000)
    home = random.Random(uin)  # people and machines call from the same few places, most of the time
    place = home if chance.random() < 0.9 else chance
    address = place.choice(_PREFIXES) + f"{place.randrange(256)}.{place.randrange(256)}"
    session = {
        "token": f"{chance.getrandbits(512):0128x}", "ua": f"{chance.getrandbits(128):032x}", "userIp": address, "uin": uin,
        "ownerUin": owner, "appId": 1256196555, "expireTime": "2023-04-03 19:23:29", "mfa": int(chance.random() < 0.6),
        "mfaExpireTime": "0000-00-00 00:00:00", "interfaceName": "", "hasPolicyFilter": 0, "policyFilter": "",
        "extraInfo": json.dumps({"dictId": 2208, "mfaExpireTime": "3000-12-12 00:00:00", "sessionUin": 5000}),
    }  # fmt: skip
    asked = {key: _parameter(key, chance) for key in chance.sample(_KEYS, 6)}
    escaped = chance.random() < 0.04
    inner: dict[str, Any] = {
        "userIdentity": {
            "principalId": str(owner if root else uin), "accountId": str(owner), "secretId": "AKID" + "x" * 32,
            "type": "Root" if root else "CAMUser", "userName": "root" if root else f"user-{uin % 400}",
            "sessionContext": json.dumps(session) if console else "",
        },
        "@timestamp": "2021-08-26T06:59:07.012875", "onlyRecordNotSeen": "0", "eventRegion": region, "eventVersion": 2,
        "errorCode": "AuthFailure" if failed and chance.random() < 0.3 else "0", "errorMessage": "permission verify",
        "requestID": event_id, "eventID": event_id, "apiVersion": "3.0",
        "eventType": "ConsoleCall" if console else "ApiCall",
        "actionType": "Read" if name.startswith(("Describe", "Get", "List")) else "Write", "authMode": "2", "isRisk": "0",
        "ruleId": "0", "httpMethod": "POST", "apiErrorCode": chance.choice(_ERRORS) if failed else 0, "apiErrorMessage": "",
        "userAgent": chance.choice(_AGENTS), "eventTime": time, "updateEsTime": time * 10_000_000 + 449_116,
        "sensitiveAction": "1" if chance.random() < 0.1 else "", "cliIp": "", "eventPlatform": "0",
        "sourceIPAddress": address, "resourceType": service, "eventName": name,
        "eventSource": f"{service}.tencentcloudapi.com",
        "requestParameters": json.dumps(asked).replace("Id", "\\u0049d") if escaped else json.dumps(asked),
        "responseElements": json.dumps(
            {"RequestId": event_id, "TotalCount": 3, "TaskId": chance.randrange(10**6), "Message": "x" * 240}
        ),
        "resources": json.dumps([f"qcs::{service}:{region}:uin/{owner}:instance/ins-{chance.getrandbits(32):08x}"]),
        "resourceName": f"instance/ins-{chance.getrandbits(32):08x}", "cloudapi": 0, "auth": 1, "signature": 0, "tags": [""],
    }  # fmt: skip
    if chance.random() < 0.01:
        odd = chance.choice(
            ("sourceIPAddress", "userAgent", "requestParameters", "errorCode", "userIdentity", "eventSource")
        )
        inner[odd] = chance.choice((None, 0, True, [], {"a": 1}, ["x"], "\u6f22\u5b57"))
    outer = {
        "CloudAuditEvent": json.dumps(inner, ensure_ascii=False, separators=(",", ":")), "EventName": name,
        "EventTime": str(time), "SecretId": "AKID" + "x" * 32, "EventId": event_id, "ErrorCode": 0, "RequestID": event_id,
        "SourceIPAddress": address, "EventSource": f"{service}.tencentcloudapi.com", "EventRegion": region,
        "Resources": {"ResourceName": inner["resourceName"], "ResourceType": service},
        "Username": "root" if root else f"user-{uin % 400}", "AccountID": owner, "Location": "中国 广东省 深圳市 中国电信",
        "ResourceTypeCn": "云服务器", "EventNameCn": "关闭实例", "ResourceRegion": region,
    }  # fmt: skip
    return json.dumps(outer, ensure_ascii=False, separators=(",", ":")).encode()


def _parameter(key: str, chance: random.Random) -> Any:
    match key:
        case "Port":
            return chance.choice(("22", "3389", "443", "ALL", "80"))
        case "CidrBlock":
            return chance.choice(("0.0.0.0/0", "10.0.0.0/8", "192.168.0.0/16"))
        case "Protocol":
            return chance.choice(("tcp", "udp", "icmp"))
        case "Action":
            return chance.choice(("ACCEPT", "DROP"))
        case "InstanceIds":
            return [f"ins-{chance.getrandbits(32):08x}" for _ in range(chance.randrange(1, 5))]
        case "Force":
            return chance.random() < 0.3
        case _:
            return f"{key.lower()}-{chance.getrandbits(24):06x}"


@dataclass(frozen=True, slots=True)
class Condition:
    """The same condition in three languages: ours, SQL over the columns of COLUMNS, CEL over variables of those names."""

    ours: str
    sql: str
    cel: str

    def __and__(self, other: Condition) -> Condition:
        return Condition(
            f"{self.ours} && {other.ours}", f"{self.sql} AND {other.sql}", f"{self.cel} && {other.cel}"
        )  # fmt: skip

    def __or__(self, other: Condition) -> Condition:
        return Condition(
            f"(({self.ours}) || ({other.ours}))", f"(({self.sql}) OR ({other.sql}))", f"(({self.cel}) || ({other.cel}))"
        )  # fmt: skip


# What the other languages' rules read: a name, and the expression that says what stands there.
COLUMNS: Final = {
    "name": "eventName", "service": "norm.service", "outcome": "norm.outcome", "error": "apiErrorCode",
    "actor_type": "norm.actor_type", "user": "userIdentity.userName", "principal": "userIdentity.principalId",
    "ip": "sourceIPAddress", "agent": "userAgent", "region": "eventRegion", "mfa": "to_string(norm.mfa)",
    "port": "requestParameters.Port", "cidr": "requestParameters.CidrBlock", "protocol": "requestParameters.Protocol",
    "action": "requestParameters.Action", "instances": "to_string(length(requestParameters.InstanceIds) > `3`)",
}  # fmt: skip


def conditions(count: int) -> list[Condition]:
    """The conditions of *count* rules; the first ones are the same for every count."""
    chance = random.Random(11)
    return [_rule(chance) for _ in range(count)]


def matches(count: int) -> list[str]:
    """The conditions of *count* rules in our language."""
    return [condition.ours for condition in conditions(count)]


def _rule(chance: random.Random) -> Condition:
    sort = chance.random()
    if sort < 0.45:
        return _all([_named(chance), *_further(chance)])
    if sort < 0.80:
        return _all([_in_list(chance), *_further(chance)])
    if sort < 0.90:
        return _all([_is("service", chance.choice(_SERVICES)), _in_list(chance), *_further(chance)])
    if sort < 0.95:
        either = _all([_named(chance), _one(chance)]) | _all([_named(chance), _one(chance)])
        return _all([either, *_further(chance)])
    return _all([chance.choice(_SELECTIVE)(chance), *_further(chance)])


def _all(parts: Sequence[Condition]) -> Condition:
    return reduce(Condition.__and__, parts)


def _is(column: str, value: str, ours: str | None = None) -> Condition:
    return Condition(ours or f"{COLUMNS[column]} == '{value}'", f"{column} = '{value}'", f"{column} == '{value}'")


def _named(chance: random.Random) -> Condition:
    return _is("name", chance.choice(NAMES))


def _in_list(chance: random.Random) -> Condition:
    if chance.random() < 0.5:
        ours = f"in_list(eventName, '{(name := f'list {chance.randrange(len(LISTS))}')}')"
        names = [item for item in NAMES if item.casefold() in LISTS[name]]
    else:
        names = chance.sample(NAMES, chance.randrange(2, 51))
        ours = f"contains([{_quoted(names)}], eventName)"
    return Condition(ours, f"name IN ({_quoted(names)})", f"name in [{_quoted(names)}]")


def _quoted(names: Sequence[str]) -> str:
    return ", ".join(f"'{name}'" for name in names)


def _further(chance: random.Random) -> list[Condition]:
    """One to three conditions, of which one is about something rare: else a rule would fire all day."""
    rare = chance.choice(_RARE)
    others = [condition for condition in _CONDITIONS if condition is not rare]
    parts = [rare, *chance.sample(others, chance.randrange(3))]
    chance.shuffle(parts)
    return [part(chance) for part in parts]


def _one(chance: random.Random) -> Condition:
    return chance.choice(_CONDITIONS)(chance)


def _begins(column: str, value: str) -> Condition:
    return Condition(
        f"starts_with({COLUMNS[column]}, '{value}')",
        f"substr({column}, 1, {len(value)}) = '{value}'",
        f"{column}.startsWith('{value}')",
    )


def _holds(column: str, value: str) -> Condition:
    return Condition(
        f"contains({COLUMNS[column]}, '{value}')", f"instr({column}, '{value}') > 0", f"{column}.contains('{value}')"
    )


def _is_not(column: str, value: str) -> Condition:
    return Condition(
        f"{COLUMNS[column]} != '{value}'", f"coalesce({column}, '') <> '{value}'", f"{column} != '{value}'"
    )


def _asked_for(chance: random.Random) -> Condition:
    column, key = chance.choice(
        (("port", "Port"), ("cidr", "CidrBlock"), ("protocol", "Protocol"), ("action", "Action"))
    )
    return _is(column, str(_parameter(key, chance)))


# What a rule that names no event is about: an error, a caller, a network. Else it would fire on a tenth of all events.
_SELECTIVE: Final[tuple[Callable[[random.Random], Condition], ...]] = (
    lambda chance: _is("error", chance.choice(_ERRORS)) & _is("actor_type", "root"),
    lambda chance: _is("principal", str(100_000_000_000 + chance.randrange(400))) & _is("outcome", "denied"),
    lambda chance: _begins("ip", chance.choice(_PREFIXES)) & _is("error", chance.choice(_ERRORS)),
)

_RARE: Final[tuple[Callable[[random.Random], Condition], ...]] = (
    lambda _: _is("outcome", "denied"),
    lambda chance: _is("error", chance.choice(_ERRORS)),
    lambda chance: _begins("error", chance.choice(("Unauthorized", "AuthFailure"))),
    lambda _: _is("actor_type", "root"),
    lambda chance: _is("principal", str(100_000_000_000 + chance.randrange(400))),
    lambda chance: _begins("ip", chance.choice(_PREFIXES)),
)

_CONDITIONS: Final[tuple[Callable[[random.Random], Condition], ...]] = (
    *_RARE,
    lambda chance: _is("outcome", chance.choice(("ok", "failed"))),
    lambda chance: _is("actor_type", chance.choice(("user", "role"))),
    lambda chance: _is_not("user", f"user-{chance.randrange(400)}"),
    lambda chance: _holds("agent", chance.choice(("curl", "Python", "Terraform", "tccli", "GO"))),
    lambda chance: _is("region", chance.choice(_REGIONS)),
    lambda _: _is("mfa", "false", "norm.mfa == `false`"),
    _asked_for,
    lambda _: _is("instances", "true", "length(requestParameters.InstanceIds) > `3`"),
)


def rule_set(
    texts: Sequence[str], lists: Lists = LISTS, *, kind: str = "tencent.cloudaudit", indexed: bool = True
) -> RuleSet:
    """Rules of these conditions and nothing else."""
    title, place = parse_template("t", lists={}), Place("bench.yaml")
    rules = tuple(
        Rule(
            f"bench.{number}",
            title,
            Severity.LOW,
            Status.STABLE,
            kind,
            "",
            parse(text, lists=lists),
            place,
            "1",
        )
        for number, text in enumerate(texts)
    )
    return RuleSet(rules, lists, indexed=indexed)
