"""How hypothesis runs here: no test fails because the machine was busy. And fixtures that stand beside all tests."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator

import pytest
import structlog
from hypothesis import HealthCheck, settings

from tests.postgres_server import own_postgres, postgres

__all__ = ["own_postgres", "postgres"]  # fixtures: a server is started where a test asks for one

# In CI the same examples every time: a change is judged by what it changed. New ones are found by whoever runs them at hand.
settings.register_profile(
    "tocsin",
    derandomize=bool(os.environ.get("CI")),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    print_blob=True,
)
settings.load_profile("tocsin")


@pytest.fixture(autouse=True)
def _logs_as_they_were() -> Iterator[None]:
    """A command that sets up logging for its process leaves nothing behind for the next test."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    structlog.reset_defaults()
    root.handlers[:], root.level = handlers, level
