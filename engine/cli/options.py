"""Options that several commands share: the configuration and the store."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import click

from engine.errors import StoreError
from engine.settings import Loaded, config_file, load
from engine.store import Store

F = TypeVar("F", bound=Callable[..., Any])

config_option = click.option(
    "-c", "--config", "config", type=click.Path(dir_okay=False), help="Configuration (default: tocsin.yaml, …)."
)
store_option = click.option("--store", "store", metavar="URL", help="Store, instead of the configuration's.")
format_option = click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True)


def configuration(config: str | None, **overrides: Any) -> Loaded:
    """The configuration in force; without a file, the defaults. Raises ConfigurationError."""
    path = Path(config) if config else config_file()
    return load(path, overrides={key: value for key, value in overrides.items() if value})


@contextmanager
def opened_store(config: str | None, store: str | None) -> Iterator[Store]:
    """The store of the configuration (or *store*), beside a running service. Raises StoreError if there is none yet."""
    from engine.app import open_configured_store, store_path
    from engine.store.address import is_postgres

    url = store or configured_store(config)
    if not is_postgres(url) and not Path(path := store_path(url)).is_file():
        raise StoreError(f"there is no store at {path} yet: run `tocsin run` first, or name one with --store or -c")
    opened = open_configured_store(url)
    try:
        yield opened
    finally:
        opened.close()


def configured_store(config: str | None) -> str:
    """The URL of the configuration's store."""
    return _without_secrets(config).settings.store


def configured_rules(config: str | None) -> list[str]:
    """Where the configuration takes its rules from."""
    return _without_secrets(config).settings.rules


def _without_secrets(config: str | None) -> Loaded:
    """The configuration, read even where its secrets are not there at this moment."""
    return load(Path(config) if config else config_file(), secrets_needed=False)
