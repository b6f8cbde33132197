"""How hypothesis runs here: no test fails because the machine was busy. And the fixtures of the Postgres server."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

from tests.postgres_server import own_postgres, postgres

__all__ = ["own_postgres", "postgres"]  # fixtures: a server is started where a test asks for one

settings.register_profile("tocsin", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True)
settings.load_profile("tocsin")
