"""`tocsin explain`: why a rule fires, or does not, on an event."""

from __future__ import annotations

import json
import secrets
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from engine.cli import explain_state
from engine.cli.options import config_option, opened_store, store_option
from engine.cli.rules import find, format_option, rules_option
from engine.cli.show import as_json, plain
from engine.errors import DecodeError, StoreError
from engine.event import Fields, Record
from engine.explanation import ABSENT, NOT_REACHED, Change, Explanation, Part
from engine.explanation import explain as explained
from engine.expression import excerpt
from engine.kinds import Kind, computed_from, kind
from engine.rule import Rule

ANSWERS = {
    "alert": "raises this rule",
    "excepted": "satisfies this rule, and an exception hides it",
    "nothing": "does not raise this rule",
    "fault": "breaks this rule: it cannot be decided",
}
# One event does not raise a rule with memory.
COUNTED = {**ANSWERS, "alert": "counts for this rule", "nothing": "does not count for this rule"}
SHOWN = 100  # characters of a value
WRITTEN = 160  # characters of a part of the condition


@click.command()
@click.argument("rule_id")
@click.argument("event_file", required=False)
@rules_option
@click.option("--event-id", help="Which event, when the file holds several.")
@click.option("--state", "of_state", is_flag=True, help="Of a rule with memory: what it has counted, in the store.")
@config_option
@store_option
@format_option
def explain(
    rule_id: str,
    event_file: str | None,
    paths: tuple[str, ...],
    event_id: str | None,
    of_state: bool,
    config: str | None,
    store: str | None,
    form: str,
) -> None:
    """
    Why a rule fires, or does not, on the event in EVENT_FILE ("-": standard input).

    The event may be a few fields by hand, a record, or an API's answer that holds it. Parts marked with * decided.
    Below the tree stands the least change of the event that turns the answer. With --state and no event: the windows of
    a rule with memory, what is counted in them, what is missing, and until when.
    """
    rule = find(paths, rule_id)
    if of_state:
        with opened_store(config, store) as opened:
            windows = explain_state.state(rule, opened)
        for line in explain_state.lines(rule, windows) if form == "text" else ():
            click.echo(line)
        for window in windows if form == "json" else ():
            as_json(window)
    if event_file is None:
        if not of_state:
            raise click.UsageError("Missing argument 'EVENT_FILE'.")
        return
    fields = _fields(rule, event_file, event_id)
    explanation = explained(rule, fields, datetime.now(UTC).date())
    if form == "json":
        as_json(_as_object(explanation))
        return
    for line in _lines(explanation, fields):
        click.echo(line)


def _fields(rule: Rule, event_file: str, event_id: str | None) -> Fields:
    """The one event in the file, as rules see it. Ends the program with code 2 when there is not exactly one."""
    reader = kind(rule.kind, redaction_key=secrets.token_bytes(32))
    troubles: list[str] = []
    views = list(_views(reader, _records(event_file, reader, troubles), event_id, troubles))
    if len(views) == 1:
        return views[0]
    for trouble in dict.fromkeys(troubles):
        click.echo(f"tocsin: {trouble}", err=True)
    if views or event_id or not troubles:
        wanted = f"the event {event_id}" if event_id else "exactly one"
        hint = "" if event_id or not views else "; name it with --event-id"
        click.echo(f"tocsin: {event_file} holds {len(views) or 'no'} such events, {wanted} is needed{hint}", err=True)
    sys.exit(2)


def _records(event_file: str, wanted: Kind, troubles: list[str]) -> Iterator[Record]:
    """The file as one event, if that is what it is; else the records of the wanted kind that `scan` would find."""
    from engine.sources import files, forms

    def trouble(place: str, message: str) -> None:
        troubles.append(f"{place}: {message}")

    try:
        raw = _standard_input() if event_file == "-" else Path(event_file).read_bytes()
    except OSError as error:
        click.echo(f"tocsin: {event_file}: {error.strerror or error}", err=True)
        sys.exit(StoreError.exit_code)
    try:
        whole = json.loads(raw)
    except (ValueError, RecursionError):
        whole = None
    if isinstance(whole, dict) and not whole.keys() & {"Response", "Events", "Records"}:
        other = _other_kind(whole, wanted, [name for name, _ in forms.in_json(raw, event_file, 1, trouble)])
        troubles.clear()  # of a few fields by hand nobody asks what kind they are
        if other is None:
            yield Record(raw, event_file)
        else:
            troubles.append(f"{event_file} is {_a_kind(other)} event; the rule looks at {wanted.name}")
        return
    if event_file == "-":
        found = forms.in_document(raw, event_file, 1, trouble)
    else:
        found = files.records([event_file], on_problem=trouble)
    others: Counter[str] = Counter()
    for name, record in found:
        if name == wanted.name:
            yield record
        else:
            others[name] += 1
    for name, count in others.items():
        held = f"{_a_kind(name)} event" if count == 1 else f"{count} {name} events"
        troubles.append(f"{event_file} holds {held}; the rule looks at {wanted.name}")


def _standard_input() -> bytes:
    if sys.stdin is None:
        raise OSError("standard input is closed")
    return sys.stdin.buffer.read()


def _a_kind(name: str) -> str:
    return f"an {name}" if name[:1] in "aeiou" else f"a {name}"


def _other_kind(event: dict[str, Any], wanted: Kind, recognised: list[str]) -> str | None:
    """The kind of *event* as `scan` recognises it, where that is not the *wanted* one and a field shows it."""
    other = recognised[0] if recognised else wanted.name
    if other == wanted.name:
        return None
    # What has no mark of another cloud is taken for CloudAudit. A few fields by hand may have none, for they are few.
    named = event.keys() & {"eventName", "eventID", "userIdentity"}
    marks = _first_names(kind(other, redaction_key=b"")) - _first_names(wanted)
    return other if other == "aws.cloudtrail" or not named or event.keys() & (marks | {"CloudAuditEvent"}) else None


def _first_names(of: Kind) -> set[str]:
    return {field.path.partition(".")[0] for field in of.fields}


def _views(reader: Kind, records: Iterable[Record], event_id: str | None, troubles: list[str]) -> Iterator[Fields]:
    for record in records:
        event = reader.decode(record).event
        if event is not None:
            if event_id in (None, event.event_id):
                yield event.fields
            continue
        try:
            sample: Any = json.loads(record.raw)
            if not isinstance(sample, dict):
                troubles.append(f"{record.place}: not a JSON object")
            elif event_id in (None, sample.get("eventID")):
                yield reader.view(sample)
        except (ValueError, RecursionError, DecodeError) as error:
            troubles.append(f"{record.place}: {error}")


def _lines(explanation: Explanation, fields: Fields) -> Iterator[str]:
    rule = explanation.rule
    named = [fields.get("eventName", "the event"), fields.get("eventID")]
    event = " ".join(plain(str(name)) for name in named if name)
    yield f"{rule.id}: {event} {(ANSWERS if rule.memory is None else COUNTED)[explanation.answer]}"
    yield "match"
    yield from _tree(explanation.match, "  ")
    for index, item in enumerate(explanation.unless):
        expired = f", expired on {item.exception.expires}" if item.expired else ""
        yield f"unless[{index}] {plain(item.exception.reason)}{expired}"
        yield from _tree(item.tree, "  ")
    yield from _turning(explanation)
    if rule.memory is not None:
        yield "The rule also looks at other events before it alerts; this is about one event alone."


_TURNED = {
    "alert": "would not raise it",
    "excepted": "would raise it",
    "nothing": "would raise it",
    "fault": "could be decided",
}


def _turning(explanation: Explanation) -> Iterator[str]:
    """The least changes that turn the answer; each was tried."""
    turned = _TURNED[explanation.answer]
    if explanation.rule.memory is not None:
        turned = turned.replace("raise it", "count for it")
    if not explanation.changes:
        yield f"No change of a few single fields was found with which the event {turned}."
        return
    size = len(explanation.changes[0])
    if size == 1:
        yield f"The event {turned} if one field were something else:"
    else:
        yield f"No single-field change was found with which the event {turned}; {size} fields together do it:"
    for changes in explanation.changes:
        yield "  " + " and ".join(_change(change) for change in changes)
    told = dict.fromkeys(change.field for changes in explanation.changes for change in changes)
    for field in told:
        if sources := computed_from(explanation.rule.kind, field):
            yield f"{field} is computed from {_and(sources)}."


def _and(names: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def _change(change: Change) -> str:
    wanted = "absent" if change.wanted is ABSENT else _quoted(change.wanted)
    given = "absent" if change.value is ABSENT else _quoted(change.value)
    return f"{plain(change.field)} would have to be {wanted} (is {given})"


def _quoted(value: Any) -> str:
    return f"'{plain(value)}'" if isinstance(value, str) and len(value) <= SHOWN else _shown(value)


def _tree(part: Part, indent: str, branch: str = "") -> Iterator[str]:
    mark = "*" if part.decided else " "
    text = excerpt(part.text, WRITTEN)
    yield f"{indent}{branch}{mark} {plain(text)}  → {_value(part)}"
    deeper = indent + {"": "", "├─ ": "│  ", "└─ ": "   "}[branch]
    if part.value is NOT_REACHED and part.broke is None:
        return  # nothing in it was asked
    for index, child in enumerate(part.parts):
        last = index == len(part.parts) - 1
        yield from _tree(child, deeper, "└─ " if last else "├─ ")


def _value(part: Part) -> str:
    if part.broke is not None:
        return f"cannot be decided: {plain(part.broke)}"
    if part.value is NOT_REACHED:
        return "(not reached)"
    shown = [_shown(value) for value in part.values[:5]]
    more = ", …" if len(part.values) > len(shown) else ""
    return ", ".join(shown) + more


def _shown(value: Any) -> str:
    text = plain(json.dumps(value, ensure_ascii=False, default=str))
    return text if len(text) <= SHOWN else text[: SHOWN - 1] + "…"


def _as_object(explanation: Explanation) -> dict[str, Any]:
    return {
        "rule_id": explanation.rule.id,
        "answer": explanation.answer,
        "memory": explanation.rule.memory is not None,
        "match": _part(explanation.match),
        "unless": [
            {"reason": item.exception.reason, "expired": item.expired, "match": _part(item.tree)}
            for item in explanation.unless
        ],
        "least_changes": [
            [_change_object(change, explanation.rule.kind) for change in changes] for changes in explanation.changes
        ],
    }


def _change_object(change: Change, kind_name: str) -> dict[str, Any]:
    """
    A change for programs: `is` and `must_be` are left out where the field is, or must be, absent, and `computed_from`
    where no other fields make it.
    """
    told: dict[str, Any] = {"field": change.field}
    if change.value is not ABSENT:
        told["is"] = change.value
    if change.wanted is not ABSENT:
        told["must_be"] = change.wanted
    if sources := computed_from(kind_name, change.field):
        told["computed_from"] = list(sources)
    return told


def _part(part: Part) -> dict[str, Any]:
    return {
        "text": part.text,
        "values": list(part.values),
        "decided": part.decided,
        "broke": part.broke,
        "parts": [_part(child) for child in part.parts],
    }
