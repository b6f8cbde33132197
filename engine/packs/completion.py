"""
What editors offer inside a rule's expressions: the JSON Schema of rule files, with fields, functions and lists as
examples. A schema cannot look inside an expression; examples are offered where one begins, and refuse nothing.
"""

from __future__ import annotations

from typing import Any, Final

from engine.kinds import MODULES, NORM_FIELDS, kind
from engine.packs.files import builtin_root

_EXPRESSION: Final = "A JMESPath expression."


def with_examples(schema: dict[str, Any]) -> dict[str, Any]:
    """*schema* with every expression referring to one definition, which has the examples."""
    found = _referring(schema)
    definitions = {**found.get("$defs", {}), "Expression": _definition()}
    return {**found, "$defs": dict(sorted(definitions.items()))}


def _referring(node: Any) -> Any:
    if isinstance(node, list):
        return [_referring(item) for item in node]
    if not isinstance(node, dict):
        return node
    if node.get("type") == "string" and node.get("description") == _EXPRESSION:
        kept = {name: value for name, value in node.items() if name not in {"type", "minLength", "description"}}
        return {**kept, "$ref": "#/$defs/Expression"}
    return {name: _referring(value) for name, value in node.items()}


def _definition() -> dict[str, Any]:
    paths = {
        field.path
        for name in MODULES
        for field in kind(name, redaction_key=bytes(32)).fields  # documentation only: nothing is decoded with this key
        if field.path.replace(".", "_").isidentifier()
    }
    lists = sorted(path.stem for path in (builtin_root() / "lists").glob("*.yaml"))
    examples = [
        "eventName == 'ConsoleLogin' && norm.outcome == 'ok'",
        *(f"in_list(eventName, '{name}')" for name in lists),
        *sorted({*paths, *NORM_FIELDS}),
    ]
    return {"description": _EXPRESSION, "type": "string", "minLength": 1, "examples": examples}
