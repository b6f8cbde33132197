"""`tocsin config show`: the configuration in force, secrets masked."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import click
import yaml

from engine.cli.options import config_option, configuration
from engine.logs import Mask
from engine.store.address import masked


@click.group()
def config() -> None:
    """Show the configuration."""


@config.command()
@config_option
def show(config: str | None) -> None:
    """What is in force after flags, environment, file and defaults; every secret shows as [masked]."""
    loaded = configuration(config)
    data = loaded.settings.model_dump(by_alias=True)
    for section, typed in (("sources", loaded.source_settings), ("notifiers", loaded.notifier_settings)):
        for entry in data[section]:
            entry.update(typed[entry["name"]].model_dump(by_alias=True))
    data["store"] = masked(loaded.settings.store)
    mask = Mask(loaded.secrets)
    click.echo(f"# from {loaded.file}")
    click.echo(yaml.safe_dump(_plain(data, mask), sort_keys=False, allow_unicode=True).rstrip())


def _plain(value: Any, mask: Mask) -> Any:
    if isinstance(value, dict):
        return {key: _plain(inner, mask) for key, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(inner, mask) for inner in value]
    if isinstance(value, timedelta):
        seconds = int(value.total_seconds())
        unit, size = next((u, s) for u, s in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)) if seconds % s == 0)
        return f"{seconds // size}{unit}"
    if value is None or isinstance(value, bool | int | float):
        return value
    text = str(value)
    return "[masked]" if text and set(text) == {"*"} else mask.text(text)
