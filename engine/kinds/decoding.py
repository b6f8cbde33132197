"""How every kind takes a record: quickly where it is as usual, else with a closer look, else into the quarantine."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Final

from engine.errors import DecodeError
from engine.event import Event, Record
from engine.kinds import Decoded
from engine.kinds.decoder import check_size_and_depth, without_bom
from engine.kinds.nested import Nested

new_identity: Final = tuple.__new__  # of a NamedTuple, as Identity, in half the time of its own


class Decoding(ABC):
    """What kinds have in common."""

    name: str
    _nested: Nested

    def decode(self, record: Record) -> Decoded:
        """The identity of *record* now, its fields later. Never raises: what cannot be read is quarantined."""
        raw = record.raw
        event = self._fast(raw)
        if event is not None:
            return Decoded(event)
        try:
            raw = without_bom(raw)
            check_size_and_depth(raw)
            return self._slow(raw, record)
        except DecodeError as error:
            return Decoded(None, self._nested.quarantined(self.name, record, str(error)))

    def evidence(self, raw: bytes) -> str:
        """The raw record as text for people: valid JSON where it was, secrets replaced."""
        return self._nested.raw(without_bom(raw))

    @abstractmethod
    def _fast(self, raw: bytes) -> Event | None:
        """The event, where its identity has the usual types; None where somebody must look closer."""

    @abstractmethod
    def _slow(self, raw: bytes, record: Record) -> Decoded:
        """What is in *raw*, whatever types it has. Raises DecodeError where that is no event."""
