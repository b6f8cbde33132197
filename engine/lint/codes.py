"""The codes of the findings about rules that load, and what each means: for SARIF, and for docs/rules.md."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

# Findings about a rule alone are the same whatever else is loaded; these are not.
ACROSS_RULES: Final = frozenset({"contained-rule", "same-condition", "unused-list"})

# Errors that rest on what is documented, not on a proof: an author may know better, and say so in a comment.
BY_DOCUMENTATION: Final = frozenset({"unknown-field", "unknown-value"})

MEANINGS: Final[Mapping[str, str]] = {
    "always-holds": "a condition, or a part of one, that every event satisfies",
    "argument-type": "an argument that a function cannot take",
    "bad-ignore": "a comment that would silence warnings, without a code or without a reason",
    "bare-literal": "true, false or null without backticks, which is a field of that name",
    "comparison-type": "a text compared with a number or a flag, and the like: never true, or always",
    "contained-rule": "every event that satisfies this rule satisfies another one too",
    "contains-equality": "contains(eventName, 'X') where X is the whole name of an event",
    "contains-membership": "contains('A,B', x) asks for a part of a text; a list was meant",
    "costly": "a condition that the index can leave out for no event, or only by trying a pattern on each",
    "event-alias": "an event whose call is known under other names too, which the condition leaves out",
    "event-spelling": "an event that is recorded in another case, or in several",
    "exception-hides-all": "exceptions that hold for every event of their rule",
    "exception-never-applies": "an exception that holds for no event of its rule",
    "expired-exception": "an exception whose last day has passed",
    "file-name": "the file is not named like its rule",
    "never-holds": "a condition, or a part of one, that no event satisfies",
    "no-firing-test": "no test shows an event that raises the rule",
    "no-quiet-test": "no test shows an event that must not raise the rule",
    "not-precedence": "! binds tighter than . and ==: it negates less than it seems to",
    "null-equality": "two fields are compared that may both be absent: null equals null",
    "old-literal": "`Root`, an old form of 'Root'",
    "part-of-closed": "a test for a part of a text, on a field whose values are all known",
    "quoted-identifier": "a name in double quotes, \"Root\", where the text 'Root' was meant",
    "same-condition": "two rules with the same condition",
    "swapped-arguments": "starts_with('Delete', eventName): a part of the event is looked for in a literal",
    "test-cannot-fail": "a test that would end the same whatever the condition said",
    "unknown-event": "an event that no service is known to have",
    "unknown-field": "a field that no event of this kind is known to have",
    "unknown-value": "a value that a field with known values does not have",
    "unused-ignore": "a comment that silences a warning that is not there",
    "unused-list": "a list that no rule asks",
}
