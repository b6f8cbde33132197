"""A CloudAudit record by path: how a view of it reads each field, the same value as the full decode has there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from engine.errors import DecodeError
from engine.event import SEPARATOR, Fields, View
from engine.kinds.decoder import UNREADABLE, loads
from engine.kinds.nested import Nested, container
from engine.kinds.projection import (
    NOT_PROJECTED,
    OPENERS,
    UNSET,
    At,
    LazyView,
    Lean,
    NotLean,
    Plan,
    attribute,
    from_field,
    from_path,
    from_whole,
    opened_member,
    plainly_named,
    remember,
    stored,
)
from engine.kinds.tencent_cloudaudit.fields import IDENTITY_OUTER, IDENTITY_TWINS, OPENED, OUTER_TWINS
from engine.kinds.tencent_cloudaudit.joining import apart
from engine.kinds.tencent_cloudaudit.norm import NORM, Members
from engine.kinds.tencent_cloudaudit.tokens import (
    ABSENT,
    BLANK,
    IDENTITY,
    NORM_SAME,
    SESSION,
    is_plain,
    plainly,
    tells_actor_type,
)
from engine.kinds.uniform import ObjectReader, Read

SHORT: Final = 128  # characters of a text that is remembered with what it is read as
_SHARED: Final = ("identity", "session", "opened")  # what several paths begin with, once it has been looked at


def plan_of(path: str, readers: Mapping[str, Read], nested: Nested) -> Plan:
    """How a view reads *path*; *readers* are those of the top-level fields."""
    names = path.split(SEPARATOR)
    top, below = names[0], names[1:]
    if any("\ufffd" in name for name in names):
        return from_whole(names)  # a NUL in the record may have become that
    if top == "norm":
        return _norm_plan(below[0]) if len(below) == 1 else from_whole(names)
    read = readers.get(top)
    if read is None:
        return from_whole(names)  # not documented: others beside it can say that it is a secret
    if not below:
        return _field_plan(top, read)
    if isinstance(read, ObjectReader):
        return _member_plan(read, below) or from_field(names)
    if top in OPENED and plainly_named(below, nested):
        return _opened_plan(top, below, nested)
    return from_field(names)


class LeanCloudAudit(Lean, gc=False):
    """*outer* is None where the record is an inner event alone."""

    outer: Any
    inner: Any

    @property
    def view(self) -> View:
        if self.made is None:
            self.made = CloudAuditView(self.kind, self.raw, self.outer, self.inner, self.text)
        return self.made


class CloudAuditView(LazyView):
    """
    A record of CloudAudit by path. *outer* is None where the record is an inner event alone.

    The slots of OPENED and sessionContext are structs of `kind.inside`, once something has been read of them.
    """

    __slots__ = (
        "additionalEventData", "identity", "inner", "opened", "outer", "outer_more", "requestParameters",
        "responseElements", "session", "sessionContext",
    )  # fmt: skip

    identity: Any
    session: Any
    opened: Any

    def __init__(self, kind: Any, raw: bytes, outer: Any, inner: Any, text: str | bytes) -> None:
        self.kind = kind
        self.raw = raw
        self.outer = outer
        self.inner = inner
        self.text = text

    def __getattr__(self, slot: str) -> Any:
        """Slots that are filled when something is read; made for every event, a view sets no more than it must."""
        value = UNSET if slot in _SHARED else None
        setattr(self, slot, value)
        return value

    @property
    def whole(self) -> Fields:
        """All fields. Raises DecodeError if the bytes turn out not to be an event."""
        if self._whole is None:
            outer, inner, reason = apart(loads(self.raw))
            if reason is not None:  # such as depth that only escapes hid from the quick look
                raise DecodeError(reason)
            self._whole = self.kind.fields_of(outer, inner)
        return self._whole

    def shape(self, path: str) -> Any:
        """As `view[path]`, but that the items of a list are as they came."""
        top, _, name = path.partition(SEPARATOR)
        if path not in self and top in OPENED and SEPARATOR not in name and plainly(name):
            try:
                text = _written(self, attribute(top), top)
            except UNREADABLE:
                return self[path]
            if text.__class__ is str and text != "":
                value = _inside(self, top, text, name)
                if value.__class__ is list:
                    return value
        return self[path]


def _written(view: CloudAuditView, slot: str, name: str) -> Any:
    """The field *name* as it stands in the inner event; UNSET where it does not."""
    value = getattr(view.inner, slot, NOT_PROJECTED)
    return view.kind.more.get(view, "more", view.text, name) if value is NOT_PROJECTED else value


def _of_outer(view: CloudAuditView, name: str) -> Any:
    """A field of the outer event; UNSET where there is none."""
    return UNSET if view.outer is None else view.kind.outer_more.get(view, "outer_more", view.raw, name)


def _field_of(name: str) -> Callable[[CloudAuditView], Any]:
    """The field *name* before it is read, with what the outer event says where the inner one does not; see joined."""
    slot, twin = attribute(name), OUTER_TWINS.get(name)

    def field(view: CloudAuditView) -> Any:
        value = _written(view, slot, name)
        if value in BLANK and view.outer is not None:
            if value is UNSET:
                value = _of_outer(view, name)
            if twin is not None and value in BLANK:
                other = _of_outer(view, twin)
                value = value if other is UNSET else other
        return stored(view, value)

    return field


def _field_plan(name: str, read: Read) -> Plan:
    if name == "userIdentity":
        return lambda view: read(_identity(view))
    field = _field_of(name)
    if name in ("errorCode", "apiErrorCode"):
        return lambda view: "0" if (value := field(view)) in ABSENT else read(value)
    if name in ("resourceType", "resourceName"):
        return _resource_plan(name, read)

    slot = attribute(name)
    known: dict[str, Any] = {}  # what texts are read as: most come again and again

    def plan(view: CloudAuditView) -> Any:
        raw = getattr(view.inner, slot, NOT_PROJECTED)
        if raw is NOT_PROJECTED:
            raw = _written(view, slot, name)
        if raw.__class__ is str and (found := known.get(raw, UNSET)) is not UNSET:
            return found
        value = field(view)
        value = None if value is UNSET else read(value)
        # An empty text may stand for what the outer event says.
        if raw.__class__ is str and raw != "" and len(raw) <= SHORT:
            remember(known, raw, value)
        return value

    return plan


def _resource_plan(name: str, read: Read) -> Plan:
    """The outer event's Resources can stand in for these two: rare, so left to the full decode."""

    field = _field_of(name)

    def plan(view: CloudAuditView) -> Any:
        value = field(view)
        if value is None or value is UNSET:
            return view.whole.get(name) if _of_outer(view, "Resources") not in BLANK else None
        return read(value)

    return plan


def _identity(view: CloudAuditView) -> Any:
    """`userIdentity` before it is read, with the outer event's twins of its members."""
    if view.identity is UNSET:
        value = _raw_identity(view)
        value = None if value is UNSET else value
        outer = view.outer
        if outer is not None:
            opened = container(value) if isinstance(value, str) else value
            if opened is None or isinstance(opened, dict):
                missing = {}
                for twin, name in IDENTITY_TWINS.items():
                    if opened is None or opened.get(name) in (None, ""):
                        other = _of_outer(view, twin)
                        if other is not UNSET and other is not None:
                            missing[name] = stored(view, other)
                if missing:
                    value = {**(opened or {}), **missing}
        view.identity = value
    return view.identity


def _raw_identity(view: CloudAuditView) -> Any:
    return stored(view, view.kind.identity.decode(view.text).f_userIdentity)


def _identity_member(view: CloudAuditView, name: str, slot: str, twin: str | None) -> Any:
    """A member of `userIdentity` before it is read, or the outer event's twin of it; None where there is none."""
    value = getattr(view.inner.f_userIdentity, slot, NOT_PROJECTED)
    if value is NOT_PROJECTED:
        value = view.kind.more.get_member(view, "more", view.text, "userIdentity", name)
    if value in BLANK:
        if twin is not None and view.outer is not None:
            other = _of_outer(view, twin)
            if other is not UNSET and other is not None:
                return stored(view, other)
        return None if value is UNSET else value
    return stored(view, value)


def _member_plan(read: ObjectReader, names: list[str]) -> Plan | None:
    """A documented member of userIdentity, or of the session in it; None for what only the whole object tells."""
    member = read.members.get(names[0])
    if member is None:
        return None
    if len(names) == 1:
        known: dict[str, Any] = {}
        name, slot, twin = names[0], attribute(names[0]), IDENTITY_OUTER.get(names[0])

        def plan(view: CloudAuditView) -> Any:
            raw = _identity_member(view, name, slot, twin)
            if raw.__class__ is not str:
                return member(raw)
            found = known.get(raw, UNSET)
            if found is not UNSET:
                return found
            value = member(raw)
            if len(raw) <= SHORT:
                remember(known, raw, value)
            return value

        return plan
    if names[0] != "sessionContext" or len(names) != 2 or not isinstance(member, ObjectReader):
        return None
    detail = member.members.get(names[1])
    if detail is None:
        return None

    name = names[1]

    def session_plan(view: CloudAuditView) -> Any:
        raw = _session_member(view, name)
        if raw is not UNSET:
            return detail(raw)
        if view.session is UNSET:
            raw = read.raw(_identity(view))
            view.session = None if raw is None else member.raw(raw.get("sessionContext"))
        return None if view.session is None else detail(view.session.get(name))

    return session_plan


def _session_member(view: CloudAuditView, name: str) -> Any:
    """A member of the session as it is written, None where there is none; UNSET where that cannot be told from here."""
    text = getattr(view.inner.f_userIdentity, "f_sessionContext", NOT_PROJECTED)
    if text is NOT_PROJECTED:
        text = _identity_member(view, "sessionContext", "f_sessionContext", None)
    if text is None or text == "" or text is UNSET:
        return None
    return UNSET if text.__class__ is not str else _inside(view, "sessionContext", text, name)


def _inside(view: CloudAuditView, field: str, text: str, name: str) -> Any:
    """What the object that *text* is has under *name*: None where it has nothing, UNSET where that cannot be told."""
    try:
        value = view.kind.inside[field].member(view, field, text, name)
    except NotLean:
        return UNSET
    return None if value is UNSET else value


def _opened_plan(top: str, names: list[str], nested: Nested) -> Plan:
    """A member of a field that is JSON in a text, such as requestParameters; the text is opened once per event."""
    field = _field_of(top)
    first, rest, plain = names[0], names[1:], is_plain(names[0])
    slot = attribute(top)
    known: dict[str, Any] = {}

    def plan(view: CloudAuditView) -> Any:
        text = _written(view, slot, top)
        if text.__class__ is str and text != "":
            # A name that does not occur in the text is not in the object: escapes and percent-encoding aside.
            if plain and first not in text and text[0] == "{" and not ("\\" in text and "\\u" in text):
                return None
            value = _inside(view, top, text, first)
            if value is not UNSET:
                if value.__class__ is not str or rest:
                    return opened_member(value, rest, nested, 3)
                found = known.get(value, UNSET)
                if found is UNSET:
                    found = nested.opened(value, 3)
                    if len(value) <= SHORT:
                        remember(known, value, found)
                return found
        return opened_otherwise(view)

    def opened_otherwise(view: CloudAuditView) -> Any:
        memo = view.opened
        if memo is UNSET:
            memo = view.opened = {}
        try:
            raw, depth = memo[top]
        except KeyError:
            raw, depth = field(view), 1
            if raw.__class__ is str:
                # A name that does not occur in the text is not in the object: escapes and percent-encoding aside.
                if plain and first not in raw and raw[:1] == "{" and not ("\\" in raw and "\\u" in raw):
                    return None
                inner = container(raw) if raw[:1] in OPENERS else None
                if inner is not None:
                    raw, depth = inner, 2
            memo[top] = raw, depth
        if raw.__class__ is not dict:
            return None
        return opened_member(raw, names, nested, depth)

    return plan


_NORM_OF_TWO: Final = {"outcome": ("errorCode", "apiErrorCode"), "service": ("resourceType", "eventSource")}


def _plan_of_two(read: Callable[[Members, Members, Members], Any], first: str, second: str) -> Plan:
    """A value that two fields tell, of which the pairs come again and again."""
    known: dict[Any, Any] = {}

    def plan(view: CloudAuditView) -> Any:
        pair = view[first], view[second]
        found = known.get(pair, UNSET)
        if found is not UNSET:
            return found
        value = read({name: item for name, item in zip((first, second), pair, strict=True) if item is not None}, {}, {})
        value = None if value == "" else value
        if sum(len(item) for item in pair if item is not None) <= SHORT:
            remember(known, pair, value)
        return value

    return plan


def _plan_of_actor_type(read: Callable[[Members, Members, Members], Any]) -> Plan:
    """The same of a caller, of whom most come again and again."""
    known: dict[Any, str] = {}

    def plan(view: CloudAuditView) -> Any:
        inner = view.inner
        try:
            who = inner.f_userIdentity
            caller = inner.f_eventPlatform, who.f_type, who.f_principalId, who.f_accountId, who.f_userName
            found = known.get(caller)
        except (AttributeError, TypeError):  # not decoded as usual, or nothing to remember it by
            return read(At(view), At(view, IDENTITY), At(view, SESSION))
        if found is None:
            found = read(At(view), At(view, IDENTITY), At(view, SESSION))
            if tells_actor_type(*caller) and sum(map(len, caller)) <= 2 * SHORT:
                remember(known, caller, found)
        return found

    return plan


def _norm_plan(name: str) -> Plan:
    same = NORM_SAME.get(name)
    if same is not None:
        return from_path(same)
    read = NORM.get(name)
    if read is None:
        return lambda _: None
    if name in _NORM_OF_TWO:
        return _plan_of_two(read, *_NORM_OF_TWO[name])
    if name == "actor_type":
        return _plan_of_actor_type(read)

    def plan(view: CloudAuditView) -> Any:
        if name == "account" and view.outer is not None and view.outer.f_AccountID not in BLANK:
            account = view.kind.text(stored(view, view.outer.f_AccountID))
            if account:
                return account
        value = read(At(view), At(view, IDENTITY), At(view, SESSION))
        return None if value == "" else value

    return plan
