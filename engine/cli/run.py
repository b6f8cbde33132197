"""`tocsin run`: guard the configured accounts."""

from __future__ import annotations

import signal
import sys

import click

from engine.cli.options import config_option, configuration, store_option
from engine.errors import ConfigurationError, Place, Problem
from engine.settings import Loaded, config_file
from engine.store.address import masked


@click.command()
@config_option
@store_option
@click.option("--rules", "rules", multiple=True, metavar="PATH", help="Rules, instead of the configuration's.")
@click.option("--once", is_flag=True, help="Read every source once, send what is due, and end.")
@click.option("--dry-run", is_flag=True, help="Send nothing and store nothing: print what would be sent, and end.")
def run(config: str | None, store: str | None, rules: tuple[str, ...], once: bool, dry_run: bool) -> None:
    """Fetch, evaluate and tell, until SIGTERM. SIGHUP reads rules and routes again, as a change of their files does."""
    from engine import logs
    from engine.app import assembled
    from engine.web.health import Server, application

    def read() -> Loaded:
        return configuration(config, store=store, rules=list(rules))

    loaded = read()
    if not loaded.settings.sources:
        place = Place(str(config or config_file() or "tocsin.yaml"))
        hint = "deploy/tocsin.yaml is an example; `tocsin demo` needs none"
        raise ConfigurationError([Problem(place, "no-sources", "there is no source to read", suggestion=hint)])
    logs.configure(loaded.settings.log.level, loaded.settings.log.format, loaded.secrets)
    log = logs.get()
    with assembled(loaded, dry_run=dry_run, reload=read) as app:
        service = app.service
        signal.signal(signal.SIGTERM, lambda _n, _f: service.stop())
        signal.signal(signal.SIGINT, lambda _n, _f: service.stop())
        signal.signal(signal.SIGHUP, lambda _n, _f: service.reload_asked.set())
        log.info(
            "started",
            store=masked(loaded.settings.store),
            rules=len(app.parts.policy.rules),
            sources=[watched.source.name for watched in app.parts.watched],
            destinations=list(app.parts.destinations),
        )
        if not loaded.settings.routes and loaded.settings.notifiers:
            log.warning("there are no routes: no alert will be sent")
        if once or dry_run:
            service.check_coverage()
            code = service.once(beside=not dry_run)  # what a dry run prints comes in order
            sys.exit(code)
        server = None
        if loaded.settings.web.listen != "off":
            host, _, port = loaded.settings.web.listen.rpartition(":")
            pages = application(
                alive=service.alive,
                unready=service.unready,
                registry=app.parts.metrics.registry,
                notes=service.notes,
            )
            server = Server(pages, host.strip("[]"), int(port))
            server.start()
            log.info("listening", address=":".join(map(str, server.address)))
        try:
            service.run()
        finally:
            if server is not None:
                server.stop()
        log.info("stopped")
