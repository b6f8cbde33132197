"""
What people write: the models of a rule file, a list file and a pack file, and the JSON Schema that editors use.

pydantic stands here at the border and nowhere further in: expressions are still text, checked and compiled by the
loader, which knows where in the file each one stands.
"""

from __future__ import annotations

import json
from datetime import date, timedelta
from itertools import combinations
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, StringConstraints, WithJsonSchema, model_validator

from engine.kinds import MODULES
from engine.strict_yaml import Day, Duration, StrictModel

RULE_ID = r"^[a-z0-9_]+(\.[a-z0-9_]+)+$"
SCHEMA_URL = "https://json-schema.org/draft/2020-12/schema"

_KINDS: dict[str, Any] = {"type": "string", "enum": sorted(MODULES)}


def _one_line(value: object) -> object:
    if isinstance(value, str) and "\n" in value.strip():
        raise ValueError("this is one line; fold it with '>-'")
    return value.strip() if isinstance(value, str) else value


Text = Annotated[str, StringConstraints(min_length=1, strict=True)]
Line = Annotated[str, BeforeValidator(_one_line), StringConstraints(min_length=1, max_length=300, strict=True)]
JMESPath = Annotated[str, StringConstraints(min_length=1, strict=True), Field(description="A JMESPath expression.")]
Id = Annotated[str, StringConstraints(pattern=RULE_ID, max_length=120, strict=True)]
Positive = Annotated[int, Field(ge=1, le=1_000_000, strict=True)]
Kind = Annotated[str, StringConstraints(min_length=1, strict=True), WithJsonSchema(_KINDS)]


class Unless(StrictModel):
    """Known good: with a reason, an owner and an end."""

    match: JMESPath
    reason: Text
    owner: Annotated[Text, Field(description="Who answers for it: a team or an address.")]
    expires: Annotated[Day, Field(description="The last day on which it holds, UTC: 2027-03-31.")]


class CountOf(StrictModel):
    """At least so many matches of one group (or distinct values) within a span of event time."""

    at_least: Positive
    within: Duration
    distinct: JMESPath | None = None


class StepOf(StrictModel):
    """One step of a sequence: `match`, or, only as the last one, `absent`."""

    match: JMESPath | None = None
    absent: JMESPath | None = None
    at_least: Positive = 1

    @model_validator(mode="after")
    def _one_of_two(self) -> Self:
        if (self.match is None) == (self.absent is None):
            raise ValueError("a step has either 'match' or 'absent'")
        if self.absent is not None and self.at_least != 1:
            raise ValueError("'at_least' does not go with 'absent'")
        return self


class SequenceOf(StrictModel):
    """Steps that all happen within a span of event time."""

    within: Duration
    steps: Annotated[list[StepOf], Field(min_length=2, max_length=16)]
    ordered: Annotated[bool, Field(strict=True)] = True

    @model_validator(mode="after")
    def _absent_comes_last(self) -> Self:
        if any(step.absent is not None for step in self.steps[:-1]):
            raise ValueError("only the last step may be 'absent'")
        return self


class FirstSeenOf(StrictModel):
    """Values, together, that were not seen for a span."""

    values: Annotated[list[JMESPath], Field(min_length=1, max_length=8)]
    over: Duration
    learn: Annotated[Duration, Field(description="How long it only learns after it is new; it says so.")] = timedelta(0)


class SilentOf(StrictModel):
    """No event matches for so long."""

    span: Annotated[Duration, Field(alias="for")]


class AttackOf(StrictModel):
    """MITRE ATT&CK techniques, with the version of the matrix that their ids come from."""

    version: Positive
    techniques: Annotated[
        list[Annotated[str, StringConstraints(pattern=r"^T\d{4}(\.\d{3})?$", strict=True)]], Field(min_length=1)
    ]


class Repeat(StrictModel):
    """The event comes again: `times` in all, `every` apart. `{n}` in its texts is which one it is, from 1."""

    every: Duration
    times: Annotated[int, Field(ge=1, le=10_000, strict=True)]


class SampleOf(StrictModel):
    """One event of a test with its time: `at` after the test's first event."""

    event: dict[str, Any]
    at: Duration = timedelta(0)
    repeat: Repeat | None = None


def _timed(item: object) -> object:
    """`{event: {…}, at: …, repeat: …}` is an event with its time; no audit event looks like this."""
    if isinstance(item, dict) and isinstance(item.get("event"), dict) and set(item) <= {"event", "at", "repeat"}:
        return item
    return {"event": item}


class ExpectedOf(StrictModel):
    """One alert of a rule with memory: the moment at which it is true, and the matches that it has in the end."""

    at: Duration
    count: Annotated[int, Field(ge=0, le=1_000_000, strict=True)] | None = None


class TestOf(StrictModel):
    """A test of the rule: one event or several, and whether the rule alerts on any of them."""

    __test__ = False  # pytest: not a test class

    name: Line
    event: dict[str, Any] | None = None
    events: list[Annotated[SampleOf, BeforeValidator(_timed), WithJsonSchema({"type": "object"})]] | None = Field(
        default=None,
        min_length=1,
        description="Events as they are, or {event: …, at: 5m, repeat: {every: 1m, times: 5}}.",
    )
    at: Duration | None = None
    repeat: Repeat | None = None
    until: Annotated[
        Duration | None, Field(description="Time goes on so long after the first moment; else to the last event.")
    ] = None
    expect: Annotated[
        Literal["alert", "nothing"],
        WithJsonSchema({"anyOf": [{"enum": ["alert", "nothing"]}, {"type": "array", "items": {"type": "object"}}]}),
        Field(description="alert, nothing, or, of a rule with memory, each alert: [{at: 4m, count: 5}]."),
    ]
    alerts: list[ExpectedOf] | None = Field(default=None, description="What `expect` lists, under a name of its own.")

    @model_validator(mode="before")
    @classmethod
    def _listed(cls, data: object) -> object:
        """`expect: [{at: 4m}]` says which alerts; `expect: []` says that there are none."""
        if isinstance(data, dict) and isinstance(data.get("expect"), list):
            listed = data["expect"]
            return {**data, "expect": "alert" if listed else "nothing", "alerts": listed}
        return data

    @model_validator(mode="after")
    def _event_or_events(self) -> Self:
        if (self.event is None) == (self.events is None):
            raise ValueError("a test has either 'event' or 'events'")
        if self.event is None and (self.at is not None or self.repeat is not None):
            raise ValueError("with 'events', write 'at' and 'repeat' beside each {event: …}")
        return self


MEMORY_KEYS = ("count", "sequence", "first_seen", "silent")


class RuleFile(StrictModel):
    """A Tocsin rule: one file, with the events that must and must not raise it. See docs/rules.md."""

    id: Annotated[Id, Field(description="Never reused, never renamed: tencent.root.console_login")]
    title: Annotated[Line, Field(description="What happened, for the person on call; takes {JMESPath} fields.")]
    severity: Literal["info", "low", "medium", "high", "critical"]
    status: Literal["experimental", "stable", "deprecated"] = "experimental"
    kind: Annotated[Kind | None, Field(description="The kind of event; without it, the pack's.")] = None
    description: Annotated[str, Field(description="Why it matters; takes {JMESPath} fields.", strict=True)] = ""
    match: Annotated[
        JMESPath | None,
        Field(description="JMESPath; the rule fires where it is true. Only a sequence can do without."),
    ] = None
    unless: list[Unless] = Field(default_factory=list)
    group_by: list[JMESPath] = Field(
        default_factory=list, max_length=8, description="What makes two matches one story."
    )
    quiet: Annotated[Duration | None, Field(description="A story is not told again sooner. With group_by: 1h.")] = None
    count: CountOf | None = None
    sequence: SequenceOf | None = None
    first_seen: FirstSeenOf | None = None
    silent: SilentOf | None = None
    attack: AttackOf | None = None
    runbook: Annotated[Text | None, Field(description="What to do; takes {JMESPath} fields.")] = None
    references: list[Annotated[str, StringConstraints(pattern=r"^https?://\S+$", strict=True)]] = Field(
        default_factory=list
    )
    false_positives: list[Text] = Field(default_factory=list)
    tests: list[TestOf] = Field(default_factory=list)

    @model_validator(mode="after")
    def _one_memory(self) -> Self:
        memory = [key for key in MEMORY_KEYS if getattr(self, key) is not None]
        if len(memory) > 1:
            raise ValueError(f"at most one of {', '.join(MEMORY_KEYS)}: here are {' and '.join(memory)}")
        if self.match is None and self.sequence is None:
            raise ValueError("'match' is missing")
        if not memory and any(test.until is not None or test.alerts is not None for test in self.tests):
            raise ValueError("a test with 'until' or a list of alerts is one of a rule with memory")
        return self


class ListFile(StrictModel):
    """Named values that rules share: `in_list(eventName, 'the name')`. Compared without regard to case."""

    name: Line
    description: Text
    values: Annotated[list[Annotated[str, StringConstraints(min_length=1, strict=True)]], Field(min_length=1)]
    extends: Annotated[bool, Field(strict=True, description="Adds to the list of this name that exists.")] = False
    replaces: Annotated[bool, Field(strict=True, description="Stands in for the list of this name that exists.")] = (
        False
    )


class PackFile(StrictModel):
    """`pack.yaml`: what the rules in this folder and below it have in common."""

    kind: Annotated[Kind | None, Field(description="The kind of event of rules that do not name one.")] = None
    version: Positive
    title: Line
    description: Text | None = None
    disabled: list[Id] = Field(default_factory=list, description="Rules that are off unless somebody enables them.")
    enabled: list[Id] = Field(
        default_factory=list, description="Rules of packs loaded before that this one switches on."
    )


def schema() -> dict[str, Any]:
    """The JSON Schema of a rule file; `rules/schema.json` holds it for editors."""
    from engine.packs.completion import with_examples  # noqa: PLC0415 only who writes the schema needs the kinds

    rules = {"anyOf": [{"required": ["match"]}, {"required": ["sequence"]}], "allOf": _AT_MOST_ONE_MEMORY}
    return {"$schema": SCHEMA_URL, **with_examples(RuleFile.model_json_schema(by_alias=True)), **rules}


_AT_MOST_ONE_MEMORY = [{"not": {"required": [*pair]}} for pair in combinations(MEMORY_KEYS, 2)]


def schema_text() -> str:
    """The text of `rules/schema.json`."""
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"


__all__ = ["Day", "Duration", "ListFile", "PackFile", "RuleFile", "date", "schema", "schema_text"]
