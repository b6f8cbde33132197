from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from engine.kinds import MODULES, NORM_FIELDS, Field, kind
from engine.kinds.reference import markdown

ROOT = Path(__file__).resolve().parents[2]
FIELDS = [(name, field) for name in MODULES for field in kind(name, redaction_key=b"k").fields]


def test_the_page_is_what_the_code_does() -> None:
    page = (ROOT / "docs" / "events.md").read_text(encoding="utf-8")

    assert page == markdown(), "run: python -m engine.kinds.reference > docs/events.md"


@pytest.mark.parametrize(("name", "field"), FIELDS, ids=lambda value: getattr(value, "path", value))
def test_every_field_is_on_the_page_with_a_meaning_and_a_source(name: str, field: Field) -> None:
    assert f"| `{field.path}` | {field.type}" in markdown()
    assert field.meaning
    assert field.source


def test_every_field_of_norm_is_on_the_page() -> None:
    assert all(f"| `{path}` | {type_} |" in markdown() for path, type_ in NORM_FIELDS.items())


@pytest.mark.parametrize("name", MODULES)
def test_a_field_below_another_has_a_parent_that_is_an_object(name: str) -> None:
    types = {field.path: field.type for field in kind(name, redaction_key=b"k").fields}

    assert len(types) == len(kind(name, redaction_key=b"k").fields)
    for path in types:
        parent, dot, _ = path.rpartition(".")
        assert not dot or types[parent] == "object", path


@pytest.mark.parametrize("name", MODULES)
def test_norm_gives_the_documented_types_and_no_other_fields(name: str) -> None:
    python_types = {"string": str, "integer": int, "boolean": bool}
    samples: tuple[dict[str, Any], ...] = (
        {},
        {"eventName": 5, "eventTime": "2026-01-01T00:00:00Z", "userIdentity": {"type": True, "accountId": 7}},
        {"eventName": ["x"], "sourceIPAddress": "203.0.113.7", "awsRegion": 1, "eventRegion": 1, "eventSource": None},
        {"userIdentity": {"sessionContext": {"mfa": 1, "attributes": {"mfaAuthenticated": True}}}, "errorCode": 404},
    )

    for sample in samples:
        for key, value in kind(name, redaction_key=b"k").view(sample)["norm"].items():
            assert type(value) is python_types[NORM_FIELDS[f"norm.{key}"]]
