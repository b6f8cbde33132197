"""
Are the `notifiers` that Python would import really ours?

Another distribution on the package index is called `notifiers` and brings a package of the same name. Installed beside
Tocsin it writes over our files, or hides them, and pip says nothing; removing it takes our `__init__.py` along. Either
way alerts would stop, so the program looks at start, before it imports any notifier.
"""

from __future__ import annotations

import ast
import sys
from importlib.machinery import PathFinder
from pathlib import Path

OWNER = "tocsin"
"""What `notifiers.OWNER` says while the package is ours."""


def check_notifiers() -> str | None:
    """
    What is wrong with the package `notifiers` and what to do about it, in a few lines; None when it is ours.

    Looks where Python would look and reads one small file; imports nothing, since a foreign package may do anything.
    """
    ours = Path(__file__).resolve().parent.parent / "notifiers" / "__init__.py"
    spec = PathFinder.find_spec("notifiers")
    found = Path(spec.origin).resolve() if spec and spec.origin else None
    if found is None:
        return f"the package notifiers is not there: {ours} is missing.\n{_remedy(ours)}"
    if found == ours and _owner(found) == OWNER:
        return None
    return (
        f"{found} is not Tocsin's. Another distribution named notifiers has been installed over it, "
        f"and no alert could be sent.\n{_remedy(ours)}"
    )


def _owner(module: Path) -> str | None:
    """The text that *module* assigns to OWNER, by reading it; None when it does not, or is no Python."""
    try:
        body = ast.parse(module.read_bytes()).body
    except (OSError, SyntaxError, ValueError):
        return None
    for statement in body:
        match statement:
            case ast.Assign(targets=[ast.Name(id="OWNER")], value=ast.Constant(value=str(owner))):
                return owner
    return None


def _remedy(ours: Path) -> str:
    pip = f"{sys.executable} -m pip"
    remedy = f"{pip} uninstall --yes notifiers"
    # In a checkout our files cannot be written over, only hidden; installed, they are gone and must come back.
    if not (ours.parent.parent / "pyproject.toml").exists():
        remedy += f" && {pip} install --force-reinstall --no-deps tocsin"
    return f"Do this: {remedy}\nor give Tocsin a virtual environment of its own."
