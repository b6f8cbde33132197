"""
docs/events.md, written from the tables by which events are read: what is documented is what happens.

`python -m engine.kinds.reference > docs/events.md` renews it; a test compares the two.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Final

from engine.kinds import NORM_FIELDS
from engine.kinds.aws_cloudtrail import ROWS as AWS_ROWS
from engine.kinds.decoder import MAX_BYTES, MAX_DEPTH
from engine.kinds.nested import MAX_NESTED_DEPTH, MAX_NESTED_TEXT
from engine.kinds.redaction import MAX_TEXT
from engine.kinds.tencent_cloudaudit import ROWS as TENCENT_ROWS
from engine.kinds.tencent_cloudaudit import TWINS
from engine.kinds.uniform import Row

# Field -> meaning, CloudAudit, CloudTrail.
_NORM: Final = {
    "norm.action": ("name of the event", "`eventName`", "`eventName`"),
    "norm.service": (
        "service, lower case",
        "`resourceType`, else the first label of `eventSource`",
        "first label of `eventSource`",
    ),
    "norm.outcome": (
        "`ok`, `denied` or `failed`",
        "`denied`: `errorCode` not `'0'`, or `apiErrorCode` says not allowed; `failed`: any other `apiErrorCode`",
        "`denied`: `errorCode` says that it was not allowed, or a sign-in failed; `failed`: any other `errorCode`",
    ),
    "norm.actor": (
        "who, for people",
        "`root`, else `userIdentity.userName`, else `principalId`",
        "`root`, else `userIdentity.userName`, else the role's name, the service, `principalId`",
    ),
    "norm.actor_type": (
        "`root`, `user`, `role`, `service` or `unknown`",
        "`service`: `eventPlatform`; `root`: by `type`, or `principalId` is `accountId`, or no type and name `root`",
        "from `userIdentity.type`",
    ),
    "norm.account": (
        "account, as in the event's identity",
        "outer `AccountID`, else `userIdentity.accountId`, else `ownerUin`",
        "`recipientAccountId`, else `userIdentity.accountId`",
    ),
    "norm.region": ("region", "`eventRegion`", "`awsRegion`"),
    "norm.ip": (
        "address of the caller",
        "the first of `sourceIPAddress`, `cliIp`, `sessionContext.userIp` that is public, else the first",
        "`sourceIPAddress` where it is an address and no service's name",
    ),
    "norm.time": ("epoch seconds, UTC", "`eventTime`", "`eventTime`"),
    "norm.mfa": (
        "a second factor was used; absent when unknown",
        "`sessionContext.mfa`",
        "`additionalEventData.MFAUsed`, else `mfaAuthenticated`",
    ),
}

_INTRODUCTION: Final = """\
# Events

<!-- Written by `python -m engine.kinds.reference > docs/events.md`: change the tables in engine/kinds/. -->

What a rule sees of an event. A kind of event has a name; rules of that kind see its fields and `norm`.

| kind | what |
|---|---|
| `tencent.cloudaudit` | Tencent Cloud CloudAudit (操作审计), every form from 2017 to today |
| `aws.cloudtrail` | AWS CloudTrail |

An absent field is null in JMESPath. `null` in a record counts as absent.

An event is known by its kind, its account and its id. Where a record has no `eventID`, `body-` and a digest of its
content stand in.

## norm: the same for every kind

| field | type | meaning | tencent.cloudaudit | aws.cloudtrail |
|---|---|---|---|---|
"""

_TENCENT: Final = """\

## tencent.cloudaudit

The inner event (`CloudAuditEvent`) stands at the top level under its own names. A record may be the outer event of
DescribeEvents or LookUpEvents, or the inner event alone, as delivered to COS, CLS or CKafka; a rule sees no difference,
but for the outer fields without an inner twin, which only outer events have.

- JSON in strings is decoded in place: `requestParameters`, `responseElements`, `resources`, `sessionContext`,
  `extraInfo`, `tags`, and below `requestParameters` and its like every text that is a JSON object or array,
  percent-encoded ones too. So `requestParameters.PolicyDocument.statement[0].effect` works. Text that is no JSON
  stays text.
- Every documented field has one type, whatever the record had. `requestParameters` and other open fields keep the
  types of the API that was called: compare with `to_string()` where an API gives both `1` and `"1"`.
- An empty text where an object belongs is absent.
- Fields that are not in the table stay as they are, opened and redacted.

| field | type | meaning | seen as | source |
|---|---|---|---|---|
"""

_TWINS: Final = """\

Outer fields that have an inner twin are used only where the twin is absent or empty, and never stand under their own
names:

| outer field | stands in for |
|---|---|
"""

_VINTAGES: Final = """\

### Vintages

| year | what is special | what becomes of it |
|---|---|---|
| 2017 | answer without `Response`; `eventVersion` `"1.0"`; `requestParameters` and `sessionContext` are objects; \
`requestID` an integer; times as text in UTC+8; `resources` is `"*"`; no `actionType` | as the table says; \
`actionType` is absent |
| 2019 | times as text; `userIdentity.accountId` an integer; `errorCode` an integer | as the table says |
| 2021 | outer event may lack `EventId` and `AccountID`; `sessionContext` is JSON text; `@timestamp`, \
`updateEsTime`, `isRisk` | ids from the inner event |
| 2022 | `cliIp`, `tags: [""]`, `sensitiveAction: "1"` | `tags` is empty, the flag is true |
| 2023 | `responseElements`, `resourceSet`; no `@timestamp` | as the table says |

When the inner event is unreadable, the event is made of the outer fields, so that rules still see it, and the record
is quarantined as well.
"""

_AWS: Final = """\

## aws.cloudtrail

CloudTrail's own names and types, unchanged, plus `norm`. JSON in strings (`policyDocument`) stays text:
`json(requestParameters.policyDocument)` opens it. Access key ids stay whole.

| field | type | meaning | source |
|---|---|---|---|
"""

_REST: Final = f"""\

## Secrets

Audit events carry secrets: session tokens, passwords in parameters, keys in answers. They are replaced when an event is
decoded, before a rule, a log, the store or a channel sees them; in evidence and in the quarantine too.

- A secret becomes `[secret:` and 16 hex digits and `]`. Equal secrets become equal tokens under one store's key, so
  rules can compare and group by them.
- A SecretId of Tencent Cloud keeps its first eight characters before its token: `AKIDz8kr[secret:0123456789abcdef]`.
  So `starts_with(userIdentity.secretId, 'AKID')` works.
- Found by name, at any depth, without regard to case, `-` and `_`: names that are or end in `token`, `password`,
  `passwd`, `pwd`, `passphrase`, `secretKey`, `secretAccessKey`, `privateKey`, `clientSecret`; and `secret`,
  `credential`, `authorization`, `cookie`, `signature`, `kubeconfig`, `userData`, `secretString`, `plaintext`,
  `tokenCode`, `verifyCode` and their like. Everything under such a name is replaced, numbers too.
- `credentials`, `secrets`, `accessKey`, `apiKey` and `auth` are replaced where they are text; where they are objects,
  their members are read by their own names.
- `{{Key: DB_PASSWORD, Value: …}}` counts as a name and its value.
- Not secrets: `NextToken`, `ClientToken`, `PageToken` and other cursors; `SecretName`, `TokenId`; true, false, 0, 1
  and empty values.
- Found by shape, in any text: private keys in PEM, SecretIds, JWTs, Slack and GitHub tokens, webhook addresses,
  `name=secret` pairs, `Authorization:` headers, passwords in addresses, `"name": "secret"` in text that is no JSON.

## What cannot be read

A record that cannot be read, whole or in part, goes to the quarantine with the reason, its secrets replaced. It is
listed and counted, never dropped.

| what | becomes |
|---|---|
| no JSON, or no JSON object | quarantined |
| larger than {MAX_BYTES >> 20} MB, or nested deeper than {MAX_DEPTH} levels | quarantined |
| no `eventName`, `eventID` or `userIdentity` at all | quarantined |
| no readable `eventName` or `eventTime` | an event, and quarantined |
| `CloudAuditEvent` missing or unreadable | an event of the outer fields, and quarantined |
| bytes that are not UTF-8 | an event with U+FFFD in their place, and quarantined |
| lone surrogates, NUL | U+FFFD |
| NaN, Infinity, numbers out of range | null |
| the same name twice in an object | the last one counts |
| a byte order mark | ignored |

Nested JSON is decoded down to {MAX_NESTED_DEPTH} levels and up to {MAX_NESTED_TEXT >> 20} MB a text; beyond that it
stays text. The quarantine keeps the first {MAX_TEXT >> 20} MB of a record.
"""


def markdown() -> str:
    """The page."""
    return "".join(
        (
            _INTRODUCTION,
            *(f"| `{path}` | {kind} | {' | '.join(_NORM[path])} |\n" for path, kind in NORM_FIELDS.items()),
            _TENCENT,
            *(_row(row, seen=True) for row in TENCENT_ROWS),
            _TWINS,
            *(f"| `{outer}` | {_names(inner)} |\n" for outer, inner in TWINS.items()),
            _VINTAGES,
            _AWS,
            *(_row(row, seen=False) for row in AWS_ROWS),
            _REST,
        )
    )


def _row(row: Row, *, seen: bool) -> str:
    kind = row.reader.type if row.reader.type != "any" else "any, open"
    meaning = row.meaning
    if row.values:
        meaning += ": " + ", ".join(f"`{value}`" for value in row.values)
    cells = [f"`{row.path}`", kind, meaning.replace("|", "\\|")]
    if seen:
        cells.append(row.seen.replace("|", "\\|"))
    cells.append(row.source)
    return "| " + " | ".join(cells) + " |\n"


def _names(inner: str) -> str:
    words: Iterable[str] = inner.split(", ")
    return ", ".join(f"`{word}`" if " " not in word else word for word in words)


if __name__ == "__main__":
    sys.stdout.write(markdown())
