"""
The command line: `tocsin`.

Each command lives in a module of its own and is imported only when it is called: `tocsin --help` starts in little more
than the bare interpreter's time. stdout is data, stderr is for people; exit codes are in `engine.errors`.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module

import click

from engine import __version__
from engine.errors import ConfigurationError, StoreError, TocsinError
from engine.ownership import check_notifiers

# name -> (module, attribute, one line for --help): help must not import the commands.
COMMANDS: dict[str, tuple[str, str, str]] = {
    "demo": ("engine.cli.demo", "demo", "Watch an intrusion being caught, in a minute, without any key."),
    "run": ("engine.cli.run", "run", "Guard the configured accounts: fetch, evaluate, tell."),
    "scan": ("engine.cli.scan", "scan", "Evaluate rules over files of events."),
    "check": ("engine.cli.check", "check", "Report every fault of rules and configuration."),
    "test": ("engine.cli.test", "test", "Run the tests that rules carry."),
    "explain": ("engine.cli.explain", "explain", "Why a rule fires, or does not, on an event."),
    "status": ("engine.cli.status", "status", "How sources, destinations and the ledger are doing."),
    "doctor": ("engine.cli.doctor", "doctor", "Check keys, permissions, clock, destinations, store; say what to do."),
    "route": ("engine.cli.route", "route", "What would happen to an event, and the message for each destination."),
    "why": ("engine.cli.why", "why", "What became of one event, with times."),
    "rules": ("engine.cli.rules", "rules", "List and show rules."),
    "events": ("engine.cli.events", "events", "Fetch events from a source, or list the quarantine."),
    "sources": ("engine.cli.sources", "sources", "How far sources were read, and how late their events come."),
    "tracks": ("engine.cli.tracks", "tracks", "Tracking sets: list, show, create, modify, delete."),
    "alerts": ("engine.cli.alerts", "alerts", "List and show alerts."),
    "deliveries": ("engine.cli.deliveries", "deliveries", "List, show, retry and drop deliveries."),
    "store": ("engine.cli.store", "store", "Back up, check and migrate the store."),
    "notify": ("engine.cli.notify", "notify", "Send a test alert to a destination."),
    "silence": ("engine.cli.silence", "silence", "Add, list and expire silences."),
    "config": ("engine.cli.config", "config", "Show the configuration in force, secrets masked."),
    "emulator": ("engine.cli.emulator", "emulator", "A local CloudAudit API for tests and demos."),
    "completion": ("engine.cli.completion", "completion", "Print a shell completion script."),
}


class LazyGroup(click.Group):
    """A group that imports a command when it is called, and lists all without importing any."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, attribute, _ = COMMANDS[cmd_name]
        command: click.Command = getattr(import_module(module), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, _, line) in COMMANDS.items()])


@click.command(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="tocsin")
def tocsin() -> None:
    """Watches cloud audit logs and rings for the person on call: once per event, and never in silence."""


def main() -> None:
    """Run the command line; errors made on purpose become a message on stderr and their exit code."""
    if trouble := check_notifiers():  # first of all: whatever imports a notifier would import somebody else's
        click.echo(f"tocsin: {trouble}", err=True)
        sys.exit(ConfigurationError.exit_code)
    try:
        tocsin.main(prog_name="tocsin", standalone_mode=True)
    except TocsinError as error:
        click.echo(f"tocsin: {error}", err=True)
        sys.exit(error.exit_code)
    except BrokenPipeError:  # whoever read our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        click.echo(f"tocsin: {error.filename or 'input or output'}: {error.strerror or error}", err=True)
        sys.exit(StoreError.exit_code)
