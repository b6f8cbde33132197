"""`tocsin completion`: a shell completion script."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print the completion script of SHELL: eval "$(tocsin completion bash)"."""
    found = get_completion_class(shell)
    if found is None:
        raise click.ClickException(f"no completion for {shell}")
    root = context.find_root().command
    click.echo(found(root, {}, "tocsin", "_TOCSIN_COMPLETE").source())
