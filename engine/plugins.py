"""Finding sources and notifiers by the name that the configuration gives: a type is a module that exports PLUGIN."""

from __future__ import annotations

import pkgutil
from importlib import import_module
from typing import Any, cast

from engine.delivery import NotifierPlugin
from engine.sources import SourcePlugin


def notifier(type_name: str) -> NotifierPlugin:
    """The plugin in `notifiers/<type_name>.py`. Raises KeyError, with the types there are, for an unknown one."""
    return cast("NotifierPlugin", _plugin("notifiers", type_name))


def source(type_name: str) -> SourcePlugin:
    """The plugin in `engine/sources/<type_name>.py`. Raises KeyError, with the types there are, for an unknown one."""
    return cast("SourcePlugin", _plugin("engine.sources", type_name))


def _plugin(package: str, type_name: str) -> Any:
    names = sorted(module.name for module in pkgutil.iter_modules(import_module(package).__path__))
    if type_name in names and (plugin := _exported(package, type_name)) is not None:
        return plugin
    raise KeyError(", ".join(name for name in names if _exported(package, name) is not None))


def _exported(package: str, name: str) -> Any:
    return getattr(import_module(f"{package}.{name}"), "PLUGIN", None)
