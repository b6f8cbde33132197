"""
What is doubtful or wrong about a rule that loads: things that would make it silent, or loud, without a word.

Each finding has a code (`codes.MEANINGS`; docs/rules.md has the table), a place, a plain sentence and mostly a
suggestion. Errors are certain to be wrong and keep the rules from being loaded; warnings can be silenced by a comment
with a reason (`silencing`).

    schema      what the events of a kind hold, and what of it is certain
    reading     each part of an expression against the path it stands for: fields, types, values, precedence
    events      names of events, by the catalogue
    asked_lists lists that cannot hold what they are asked for
    terms       what a part of a condition can be
    networks    what is left of all addresses; lengths: what lengths can be
    parts       tests for a part of a text, to be tried on known texts
    proof       what never holds, always holds, implies: sound, see there
    possible    a quick look that spares most conditions the proof
    conditions  what is proven about one condition
    cost        what the matcher's index can do with a condition
    relations   what is proven about rules together
    examples    tests that cannot fail
"""

from __future__ import annotations

from engine.lint.check import errors, lint
from engine.lint.codes import MEANINGS
from engine.lint.reading import Finding, findings
from engine.lint.schema import UNIFORM, Schema

__all__ = ["MEANINGS", "UNIFORM", "Finding", "Schema", "errors", "findings", "lint"]
