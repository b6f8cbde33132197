"""
From matches to alerts: what a rule's match means to a person, alone or with what came before it.

A rule without memory: every match is an alert (`raise_alert`). A rule with memory: its matches are put in order of
event time behind the source's watermark, and windows of its groups decide (`turn`), so that the alerts do not depend on
the order, the pages or the repetitions in which events arrive. The memories are one module each: `counting`,
`sequences`, `novelty`, `silence`.
"""

from __future__ import annotations

from engine.correlate.alerts import group_of, joined_by, raise_alert, retraction, story, tell_story
from engine.correlate.hits import Counts, Hit, Kept, Key, counts_for, meaning, origin_of
from engine.correlate.turns import Arrival, Turn, begun, turn
from engine.correlate.windows import (
    NEVER,
    Joined,
    Limits,
    Noted,
    Outcome,
    Raised,
    Retracted,
    Window,
    decode,
    encode,
)

__all__ = [
    "NEVER",
    "Arrival",
    "Counts",
    "Hit",
    "Joined",
    "Kept",
    "Key",
    "Limits",
    "Noted",
    "Outcome",
    "Raised",
    "Retracted",
    "Turn",
    "Window",
    "begun",
    "counts_for",
    "decode",
    "encode",
    "group_of",
    "joined_by",
    "meaning",
    "origin_of",
    "raise_alert",
    "retraction",
    "story",
    "tell_story",
    "turn",
]
