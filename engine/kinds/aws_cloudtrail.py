"""
`aws.cloudtrail`: AWS CloudTrail records, under CloudTrail's own names and types, plus `norm`.

Strings stay strings, also those that hold JSON (`policyDocument`): rules written for CloudTrail elsewhere expect them.
Access key ids stay whole, since CloudTrail's rules join on them; what opens something is replaced, in JSON texts too.

Source of the facts: AWS CloudTrail user guide, "CloudTrail record contents" (event version 1.11) and "CloudTrail
userIdentity element".
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from datetime import UTC
from typing import Any, Final

from engine.errors import DecodeError
from engine.event import SEPARATOR, Event, Fields, Identity, Record, UniformView, View
from engine.kinds import NORM_FIELDS, Decoded, Field, Schema, Token
from engine.kinds.decoder import UNREADABLE, is_shallow, is_utf8, loads
from engine.kinds.decoding import Decoding, new_identity
from engine.kinds.nested import Nested, Shown
from engine.kinds.projection import (
    NOT_PROJECTED,
    UNSET,
    At,
    LazyView,
    Lean,
    Plan,
    Projection,
    attribute,
    from_whole,
    plainly_named,
    remember,
    stored,
)
from engine.kinds.redaction import Redactor
from engine.kinds.uniform import AS_IS, Row, epoch, text_of

NAME: Final = "aws.cloudtrail"

_RECORD = "AWS CloudTrail user guide, record contents"
_IDENTITY = "AWS CloudTrail user guide, userIdentity element"
_STRING, _BOOLEAN, _OBJECT, _ARRAY, _ANY = (AS_IS[kind] for kind in ("string", "boolean", "object", "array", "any"))

ROWS: Final[tuple[Row, ...]] = (
    Row("eventID", _STRING, "id of the event: what makes two records the same event", source=_RECORD),
    Row("eventName", _STRING, "the API action: `RunInstances`, `ConsoleLogin`", source=_RECORD),
    Row("eventTime", _STRING, "when it happened, ISO 8601, UTC; as a number: `norm.time`", source=_RECORD),
    Row("eventSource", _STRING, "service that was called: `iam.amazonaws.com`", source=_RECORD),
    Row("eventVersion", _STRING, "format of the record: `1.11`", source=_RECORD),
    Row(
        "eventType",
        _STRING,
        "what made the record: `AwsApiCall`, `AwsConsoleSignIn`, `AwsServiceEvent` …",
        source=_RECORD,
    ),
    Row("eventCategory", _STRING, "`Management`, `Data`, `NetworkActivity`, `Insight`", source=_RECORD),
    Row("awsRegion", _STRING, "region", source=_RECORD),
    Row("sourceIPAddress", _STRING, "address of the caller, or the name of an AWS service", source=_RECORD),
    Row("userAgent", _STRING, "client", source=_RECORD),
    Row("errorCode", _STRING, "error of the call; absent on success", source=_RECORD),
    Row("errorMessage", _STRING, "its text", source=_RECORD),
    Row("requestParameters", _ANY, "what was asked: the API's own parameters", source=_RECORD),
    Row("responseElements", _ANY, "what was answered, of calls that change something", source=_RECORD),
    Row("additionalEventData", _ANY, "more about the event", source=_RECORD),
    Row("serviceEventDetails", _ANY, "about a service event", source=_RECORD),
    Row("requestID", _STRING, "id of the request", source=_RECORD),
    Row("apiVersion", _STRING, "version of the API", source=_RECORD),
    Row("managementEvent", _BOOLEAN, "a management event", source=_RECORD),
    Row("readOnly", _BOOLEAN, "it changes nothing", source=_RECORD),
    Row("resources", _ARRAY, "resources: objects of ARN, accountId, type", source=_RECORD),
    Row("recipientAccountId", _STRING, "account that received the record", source=_RECORD),
    Row("sharedEventID", _STRING, "id that records of one action in several accounts share", source=_RECORD),
    Row("vpcEndpointId", _STRING, "VPC endpoint of the call", source=_RECORD),
    Row("vpcEndpointAccountId", _STRING, "account of that endpoint", source=_RECORD),
    Row("sessionCredentialFromConsole", _STRING, "`true` when the session came from the console", source=_RECORD),
    Row("edgeDeviceDetails", _ANY, "about the edge device", source=_RECORD),
    Row("addendum", _ANY, "why the record came late or was changed", source=_RECORD),
    Row("eventContext", _ANY, "tags and conditions that enriched the record", source=_RECORD),
    Row("tlsDetails", _OBJECT, "the connection", source=_RECORD),
    Row("tlsDetails.tlsVersion", _STRING, "TLS version", source=_RECORD),
    Row("tlsDetails.cipherSuite", _STRING, "cipher suite", source=_RECORD),
    Row("tlsDetails.clientProvidedHostHeader", _STRING, "host that the client named", source=_RECORD),
    Row("userIdentity", _OBJECT, "who did it", source=_IDENTITY),
    Row(
        "userIdentity.type",
        _STRING,
        "`Root`, `IAMUser`, `AssumedRole`, `FederatedUser`, `AWSService` …",
        source=_IDENTITY,
    ),
    Row("userIdentity.principalId", _STRING, "unique id of the caller", source=_IDENTITY),
    Row("userIdentity.arn", _STRING, "ARN of the caller", source=_IDENTITY),
    Row("userIdentity.accountId", _STRING, "account of the caller", source=_IDENTITY),
    Row(
        "userIdentity.accessKeyId", _STRING, "key that signed: `AKIA…` long-lived, `ASIA…` temporary", source=_IDENTITY
    ),
    Row("userIdentity.userName", _STRING, "name of the IAM user", source=_IDENTITY),
    Row("userIdentity.invokedBy", _STRING, "AWS service that called on somebody's behalf", source=_IDENTITY),
    Row("userIdentity.identityProvider", _STRING, "external identity provider", source=_IDENTITY),
    Row("userIdentity.credentialId", _STRING, "id of the credential", source=_IDENTITY),
    Row("userIdentity.onBehalfOf", _OBJECT, "IAM Identity Center user", source=_IDENTITY),
    Row("userIdentity.onBehalfOf.userId", _STRING, "its id", source=_IDENTITY),
    Row("userIdentity.onBehalfOf.identityStoreArn", _STRING, "its store", source=_IDENTITY),
    Row("userIdentity.inScopeOf", _ANY, "what the credentials were issued for", source=_IDENTITY),
    Row("userIdentity.sessionContext", _OBJECT, "the session of temporary credentials", source=_IDENTITY),
    Row("userIdentity.sessionContext.attributes", _OBJECT, "about the session", source=_IDENTITY),
    Row(
        "userIdentity.sessionContext.attributes.mfaAuthenticated",
        _STRING,
        "`true` or `false`, a text",
        source=_IDENTITY,
    ),
    Row(
        "userIdentity.sessionContext.attributes.creationDate", _STRING, "when it began, ISO 8601, UTC", source=_IDENTITY
    ),
    Row("userIdentity.sessionContext.sessionIssuer", _OBJECT, "role or user that gave the session", source=_IDENTITY),
    Row("userIdentity.sessionContext.sessionIssuer.type", _STRING, "`Role`, `User`, `Root`", source=_IDENTITY),
    Row("userIdentity.sessionContext.sessionIssuer.principalId", _STRING, "its id", source=_IDENTITY),
    Row("userIdentity.sessionContext.sessionIssuer.arn", _STRING, "its ARN", source=_IDENTITY),
    Row("userIdentity.sessionContext.sessionIssuer.accountId", _STRING, "its account", source=_IDENTITY),
    Row("userIdentity.sessionContext.sessionIssuer.userName", _STRING, "its name", source=_IDENTITY),
    Row("userIdentity.sessionContext.webIdFederationData", _ANY, "about the web identity", source=_IDENTITY),
    Row(
        "userIdentity.sessionContext.sourceIdentity",
        _STRING,
        "original identity, where roles are chained",
        source=_IDENTITY,
    ),
    Row(
        "userIdentity.sessionContext.ec2RoleDelivery",
        _STRING,
        "version of the instance metadata service",
        source=_IDENTITY,
    ),
    Row("userIdentity.sessionContext.assumedRoot", _STRING, "`true` for a session of AssumeRoot", source=_IDENTITY),
)

# Parts of the error codes that mean "you may not", in lower case: the common errors of the services' API references.
_DENIED: Final = (
    "accessdenied", "unauthorized", "notauthorized", "authfailure", "authorizationerror", "forbidden",
    "invalidclienttokenid", "invalidaccesskeyid", "signaturedoesnotmatch", "incompletesignature", "expiredtoken",
    "unrecognizedclient", "failed authentication", "missingauthenticationtoken", "invalidtoken",
)  # fmt: skip

_ACTOR_TYPES: Final = {
    "root": "root",
    "iamuser": "user",
    "federateduser": "user",
    "samluser": "user",
    "webidentityuser": "user",
    "identitycenteruser": "user",
    "directory": "user",
    "assumedrole": "role",
    "role": "role",
    "awsservice": "service",
}
_ADDRESS: Final = frozenset("0123456789abcdefABCDEF.:")


# What every event is asked for: its identity. `Projection` adds what rules read.
_HEAD: Final = {
    "eventID": Any, "eventTime": Any, "eventName": Any, "recipientAccountId": Any,
}  # fmt: skip
_SHORT: Final = 128  # characters of a text that is remembered with what it is read as


class _Nobody:
    """Stands for an identity that a record has not: it has no member."""

    def __getattr__(self, _name: str) -> Any:
        return UNSET


# CloudTrail's own fields keep whatever type they come in; only `norm` is promised to rules.
SCHEMA: Final = Schema(
    types={path.replace(".", SEPARATOR): kind for path, kind in NORM_FIELDS.items()},
    name_path="eventName",
    aliases={f"norm{SEPARATOR}action": "eventName"},
    costs={
        **{row.path: 1 for row in ROWS},
        "errorCode": 0, "eventName": 0, "eventSource": 0, "awsRegion": 0, "userIdentity": 2, "norm": 3,
        f"norm{SEPARATOR}service": 1, "requestParameters": 4, "responseElements": 5, "additionalEventData": 4,
    },
    token=lambda path: _token(path),  # noqa: PLW0108 it stands further down
    lean="v.record",
    holders={"record": "v.record", "identity": "record.f_userIdentity or nobody"},
    helpers={"nobody": _Nobody()},
)  # fmt: skip


class AwsCloudTrail(Decoding):
    """The kind `aws.cloudtrail`; see `engine.kinds.Kind`."""

    name = NAME
    fields: Final[tuple[Field, ...]] = tuple(row.field for row in ROWS)

    def __init__(self, redaction_key: bytes) -> None:
        self._nested = Nested(Redactor(redaction_key))
        self.lean = Projection(_HEAD, {"userIdentity": {}})
        self.more = Projection({}, {"userIdentity": {}})
        self.account = Projection({}, {"userIdentity": {"accountId": Any}})
        self.identity = Projection({"userIdentity": Any})
        self.plans: dict[str, Plan] = {}
        self._shown = Shown(self._nested)
        self._times: dict[str, int] = {}

    def view(self, sample: Mapping[str, Any]) -> Fields:
        """The fields of a hand-written, possibly partial event, through the same decode."""
        return self._fields(loads(json.dumps(sample, default=str)))

    def field(self, name: str, value: Any) -> Any:
        """One top-level field of a record by itself, as `decode` would give it; None where it is absent."""
        return None if value is None else next(iter(self._nested.redacted({name: value}).values()))

    def norm(self, fields: Fields) -> dict[str, Any]:
        """The `norm` object of *fields*, which need to hold no more than the fields named in NORM_READS."""
        identity = _members(fields, "userIdentity")
        norm = ((name, read(fields, identity)) for name, read in _NORM.items())
        return {name: value for name, value in norm if value is not None and value != ""}

    def plan(self, path: str) -> Plan:
        """How a view of a record reads *path*: the same value as the full decode has there."""
        names = path.split(SEPARATOR)
        if names[0] == "norm":
            return _norm_plan(names[1]) if len(names) == 2 else from_whole(names)
        if not plainly_named(names, self._nested):
            return from_whole(names)
        return _member_plan(names, self._nested)

    def _fast(self, raw: bytes) -> Event | None:
        """The event, where its identity has the usual types; None where somebody must look closer."""
        if not is_shallow(raw):
            return None
        try:
            if not raw.isascii():
                raw.decode()
            record = self.lean.decode(raw)
            account = record.f_recipientAccountId or self.account.decode(raw).f_userIdentity.f_accountId
        except (*UNREADABLE, AttributeError):
            return None
        name, event_id, time = record.f_eventName, record.f_eventID, self._time(record.f_eventTime)
        if time is None or not (name.__class__ is event_id.__class__ is account.__class__ is str):
            return None
        shown = self._shown
        name, account, event_id = shown[name], shown[account], shown.id(event_id)
        if not (name and account and event_id):
            return None
        identity = new_identity(Identity, (NAME, account, event_id))
        return Event(identity, time, name, raw, self.whole, _Lean(self, raw, raw, None, record))

    def _time(self, text: Any) -> int | None:
        """When it happened; most events share their second with others."""
        if text.__class__ is not str:
            return epoch(text, UTC)
        known = self._times.get(text)
        if known is None:
            known = epoch(text, UTC)
            if known is not None and len(text) <= _SHORT:
                remember(self._times, text, known)
        return known

    def _slow(self, raw: bytes, record: Record) -> Decoded:
        value = loads(raw)
        fields = self._fields(value)
        norm = fields["norm"]
        if not any(fields.get(name) for name in ("eventName", "eventID", "userIdentity")):
            raise DecodeError("no CloudTrail record: it has no eventName, no eventID and no userIdentity")
        reasons = []
        if not is_utf8(raw):
            reasons.append("not UTF-8: the bytes that are none were replaced")
        if "action" not in norm:
            reasons.append("it has no eventName")
        if "time" not in norm:
            reasons.append("it has no eventTime that can be read")
        event = Event(
            Identity(NAME, norm.get("account", ""), text_of(fields.get("eventID")) or _body_id(value)),
            time=norm.get("time", 0),
            name=norm.get("action", ""),
            raw=raw,
            decode=self.whole,
            seen=UniformView(fields),
        )
        quarantined = self._nested.quarantined(NAME, record, "; ".join(reasons)) if reasons else None
        return Decoded(event, quarantined)

    def whole(self, raw: bytes) -> Fields:
        """All fields of a record. Raises DecodeError if it is none."""
        return self._fields(loads(raw))

    def _fields(self, value: Any) -> Fields:
        if not isinstance(value, dict):
            raise DecodeError("not a JSON object")
        fields: Fields = self._nested.redacted({name: item for name, item in value.items() if item is not None})
        fields["norm"] = self.norm(fields)
        return fields


NORM_READS: Final = (
    "eventName", "eventSource", "errorCode", "errorMessage", "responseElements", "userIdentity", "recipientAccountId",
    "awsRegion", "sourceIPAddress", "eventTime", "additionalEventData",
)  # fmt: skip

NORM_FROM: Final[Mapping[str, tuple[str, ...]]] = {  # field of `norm` -> those of a record that it is made of
    "action": ("eventName",),
    "service": ("eventSource",),
    "outcome": ("errorCode", "errorMessage", "eventSource", "responseElements"),
    "actor": (
        "userIdentity.type", "userIdentity.userName", "userIdentity.sessionContext.sessionIssuer.userName",
        "userIdentity.arn", "userIdentity.invokedBy", "userIdentity.principalId", "userIdentity.accountId",
    ),
    "actor_type": ("userIdentity.type",),
    "account": ("recipientAccountId", "userIdentity.accountId"),
    "region": ("awsRegion",),
    "ip": ("sourceIPAddress",),
    "time": ("eventTime",),
    "mfa": ("additionalEventData.MFAUsed", "userIdentity.sessionContext.attributes.mfaAuthenticated"),
}  # fmt: skip


class _Lean(Lean, gc=False):
    record: Any

    @property
    def view(self) -> View:
        if self.made is None:
            self.made = _View(self.kind, self.raw, self.record)
        return self.made


class _View(LazyView):
    """A record of CloudTrail by path."""

    __slots__ = ("record",)

    def __init__(self, kind: AwsCloudTrail, raw: bytes, record: Any) -> None:
        self._whole = self.has_nul = self.more = None
        self.kind = kind
        self.raw = self.text = raw
        self.record = record

    @property
    def whole(self) -> Fields:
        """All fields. Raises DecodeError if the bytes turn out not to be an event."""
        if self._whole is None:
            self._whole = self.kind.whole(self.raw)
        return self._whole


def _member_plan(names: list[str], nested: Nested) -> Plan:
    written, below, depth = _written(names), names[1:], 1 + len(names)
    if names[0] == "userIdentity":
        below = names[2:]
    known: dict[str, str] = {}  # what texts are read as: most come again and again

    def plan(view: _View) -> Any:
        value = written(view)
        for name in below:
            if value.__class__ is not dict:
                return None
            value = value.get(name)
        if value.__class__ is not str:
            return None if value is UNSET else nested.redacted(stored(view, value), depth)
        found = known.get(value)
        if found is None:
            found = nested.redacted(stored(view, value), depth)
            if len(value) <= _SHORT:
                remember(known, value, found)
        return found

    return plan


def _written(names: list[str]) -> Plan:
    """The top-level field of these names as it stands in the record, or of `userIdentity` the member."""
    top, slot = names[0], attribute(names[0])
    if top != "userIdentity":

        def field(view: _View) -> Any:
            value = getattr(view.record, slot, NOT_PROJECTED)
            return view.kind.more.get(view, "more", view.raw, top) if value is NOT_PROJECTED else value

        return field
    if len(names) == 1:
        return lambda view: view.kind.identity.decode(view.raw).f_userIdentity
    name, member_slot = names[1], attribute(names[1])

    def member(view: _View) -> Any:
        value = getattr(view.record.f_userIdentity, member_slot, NOT_PROJECTED)
        return view.kind.more.get_member(view, "more", view.raw, top, name) if value is NOT_PROJECTED else value

    return member


def _norm_plan(name: str) -> Plan:
    read = _NORM.get(name)
    if read is None:
        return lambda _: None
    if name == "mfa":
        return _plan_of_mfa
    if name == "outcome":
        return _outcome_plan()

    def plan(view: _View) -> Any:
        value = read(At(view), At(view, f"userIdentity{SEPARATOR}"))
        return None if value == "" else value

    return plan


def _plan_of_mfa(view: _View) -> bool | None:
    return _mfa_of(view[_MFA_USED], lambda: view[_MFA_AUTHENTICATED])


def _outcome_plan() -> Plan:
    """What an error code, its message and its source tell, which come again and again."""
    known: dict[Any, str] = {}

    def plan(view: _View) -> Any:
        record = view.record
        try:
            told = record.f_errorCode, record.f_errorMessage, record.f_eventSource
            found = known.get(told)
        except (AttributeError, TypeError):  # not decoded as usual, or nothing to remember it by
            return _outcome(At(view))
        if found is None:
            found = _outcome(At(view))
            texts = [value for value in told if value.__class__ is str]
            blank = sum(value is None or value is UNSET for value in told)
            if _tells_outcome(*told) and len(texts) + blank == len(told) and sum(map(len, texts)) <= 2 * _SHORT:
                remember(known, told, found)
        return found

    return plan


def _token(path: str) -> Token | None:
    """See Schema.token. What is absent tells that it is; what stands beside a member may have a say in it."""
    found = _NORM_TOKENS.get(path)
    if found is not None:
        return found
    names = path.split(SEPARATOR)
    if names[0] == "norm" or len(names) > 2 or not plainly_named(names, _ANY_KEY):
        return None
    if len(names) == 1:
        if _TYPES.get(path) not in _PLAIN_TYPES:
            return None  # an object is no key
        return Token((f"record.{attribute(names[0])}",), _always, (path,))
    return _member_token(*names) if names[1].isascii() and names[1].isidentifier() else None


def _member_token(field: str, name: str) -> Token:
    if field == "userIdentity":
        return Token((f"identity.{attribute(name)}",), _always, (f"{field}{SEPARATOR}{name}",))
    holder = f"record.{attribute(field)}"
    return Token((f"({holder}.get({name!r}) if {holder}.__class__ is dict else None)",), _always, (field,))


def _always(_value: Any) -> bool:
    return True


def _tells_outcome(error: Any, message: Any, source: Any) -> bool:
    """An error does; else what else `_outcome` looks at, but for a sign-in, whose answer has a say."""
    if error.__class__ is str and error:
        return True
    texts = (message.__class__ is str or message in _ABSENT) and (source.__class__ is str or source in _ABSENT)
    return error in _BLANK and texts and source != "signin.amazonaws.com"


_MFA_USED: Final = f"additionalEventData{SEPARATOR}MFAUsed"
_MFA_AUTHENTICATED: Final = SEPARATOR.join(("userIdentity", "sessionContext", "attributes", "mfaAuthenticated"))
_TYPES: Final = {row.path: row.reader.type for row in ROWS}
_PLAIN_TYPES: Final = ("string", "boolean", "integer", "number")
_ABSENT: Final = (None, UNSET)
_BLANK: Final = (None, "", UNSET)
_ANY_KEY: Final = Nested(Redactor(b""))  # what is a secret's name does not depend on the key
_NORM_TOKENS: Final[Mapping[str, Token]] = {
    f"norm{SEPARATOR}action": Token(("record.f_eventName",), _always, ("eventName",)),
    f"norm{SEPARATOR}region": Token(("record.f_awsRegion",), _always, ("awsRegion",)),
    f"norm{SEPARATOR}service": Token(("record.f_eventSource",), _always, ("eventSource",)),
    f"norm{SEPARATOR}actor_type": _member_token("userIdentity", "type"),
    f"norm{SEPARATOR}outcome": Token(
        ("record.f_errorCode", "(record.f_errorMessage if not record.f_errorCode else None)", "record.f_eventSource"),
        _tells_outcome,
        ("errorCode", "errorMessage", "eventSource"),
    ),
}


def build(redaction_key: bytes) -> AwsCloudTrail:
    return AwsCloudTrail(redaction_key)


def _members(fields: Members, name: str) -> Members:
    if isinstance(fields, At):
        return fields.below(name)
    value = fields.get(name)
    return value if isinstance(value, dict) else {}


def _outcome(fields: Members) -> str:
    error = (text_of(fields.get("errorCode")) or "").lower()
    message = (text_of(fields.get("errorMessage")) or "").lower()
    if error:
        return "denied" if any(mark in error for mark in _DENIED) else "failed"
    # A refused sign-in has no errorCode, but "Failed authentication" or {ConsoleLogin: Failure}.
    if message == "failed authentication":
        return "denied"
    if fields.get("eventSource") == "signin.amazonaws.com":
        answer = fields.get("responseElements")
        if isinstance(answer, dict) and "Failure" in answer.values():
            return "denied"
    return "ok"


def _actor(identity: Members) -> Any:
    """The user's or the role's name; of a service the service; of others what names them best."""
    if identity.get("type") == "Root":
        return "root"
    issuer = _members(_members(identity, "sessionContext"), "sessionIssuer")
    arn = text_of(identity.get("arn")) or ""
    _, is_role, role_and_session = arn.partition(":assumed-role/")
    return (
        identity.get("userName")
        or issuer.get("userName")
        or (role_and_session.partition("/")[0] if is_role else None)
        or identity.get("invokedBy")
        or identity.get("principalId")
        or arn
        or identity.get("accountId")
    )


def _ip(address: Any) -> str | None:
    """An address; the names of services that stand in its place (`ec2.amazonaws.com`, `AWS Internal`) are none."""
    return address if isinstance(address, str) and address and _ADDRESS.issuperset(address) else None


def _mfa(fields: Members, identity: Members) -> bool | None:
    attributes = _members(_members(identity, "sessionContext"), "attributes")
    return _mfa_of(
        _members(fields, "additionalEventData").get("MFAUsed"), lambda: attributes.get("mfaAuthenticated")
    )  # fmt: skip


def _mfa_of(used: Any, authenticated: Callable[[], Any]) -> bool | None:
    if used is not None:
        return text_of(used) in ("Yes", "true")
    text = text_of(authenticated())
    return None if text is None else text.lower() == "true"


def _body_id(value: dict[str, Any]) -> str:
    """A stand-in for a missing eventID: the digest of the record."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return "body-" + hashlib.sha256(text.encode()).hexdigest()[:32]


Members = Mapping[str, Any] | At
_NORM: Final[Mapping[str, Callable[[Members, Members], Any]]] = {
    "action": lambda fields, _: text_of(fields.get("eventName")),
    "service": lambda fields, _: (text_of(fields.get("eventSource")) or "").partition(".")[0].lower(),
    "outcome": lambda fields, _: _outcome(fields),
    "actor": lambda _, identity: text_of(_actor(identity)),
    "actor_type": lambda _, identity: _ACTOR_TYPES.get((text_of(identity.get("type")) or "").lower(), "unknown"),
    "account": lambda fields, identity: text_of(fields.get("recipientAccountId") or identity.get("accountId")),
    "region": lambda fields, _: text_of(fields.get("awsRegion")),
    "ip": lambda fields, _: _ip(fields.get("sourceIPAddress")),
    "time": lambda fields, _: epoch(fields.get("eventTime"), UTC),
    "mfa": _mfa,
}
