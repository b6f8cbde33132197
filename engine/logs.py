"""
Logs: events with fields, at the edges only, on stderr.

Text for a person at a terminal, JSON lines otherwise. Every configured secret, and every text that has the shape of
one, is masked before a line is written, whoever wrote it.
"""

from __future__ import annotations

import json
import logging
import re
import sys
from collections.abc import Iterable
from typing import Any, Literal

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

MASK = "[masked]"
# Slack tokens and webhook paths, Standard Webhooks secrets, robot keys in URLs, long-term and temporary SecretIds.
_SHAPES = re.compile(
    r"xox[a-z]-[\w-]{8,}|xapp-[\w-]{8,}|whsec_[\w+/=-]{8,}|(?<=hooks\.slack\.com/)[\w/-]{8,}"
    r"|(?<=/bot/v2/hook/)[\w-]{8,}|(?<=[?&]key=)[\w-]{8,}|(?<=access_token=)[\w-]{8,}|(?<=sig=)[\w%-]{8,}"
    r"|(?<=AKID)[A-Za-z0-9]{28,}"
)


class Mask:
    """Replaces secrets in whatever is about to be logged."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        # Longest first, so that a secret that holds another is masked whole. Very short ones would mask ordinary words.
        known = sorted({secret for secret in secrets if len(secret) >= 6}, key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, known))) if known else None

    def text(self, text: str) -> str:
        """*text* with every known secret, and everything of the shape of one, masked."""
        if self._known is not None:
            text = self._known.sub(MASK, text)
        return _SHAPES.sub(MASK, text)

    def __call__(self, _logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        return {key: self._value(value) for key, value in event.items()}

    def _value(self, value: Any) -> Any:
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return {key: self._value(inner) for key, inner in value.items()}
        if isinstance(value, list | tuple):
            return [self._value(inner) for inner in value]
        if value is None or isinstance(value, int | float):
            return value
        return self.text(str(value))


def inert(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """
    Texts that a terminal cannot obey: escapes, line ends and direction marks are written out.

    JSON does so by itself; structlog's renderer for people only does it where a text also holds a space or a quote.
    """
    return {key: _shown(value, key == "exception") if isinstance(value, str) else value for key, value in event.items()}


def _shown(text: str, lines: bool) -> str:
    kept = "\n" if lines else ""
    return "".join(c if c.isprintable() or c in kept else json.dumps(c)[1:-1] for c in text)


def configure(level: str, form: Literal["auto", "text", "json"], secrets: Iterable[str] = ()) -> None:
    """Set up logging for this process: our own lines, and those of the libraries from WARNING on."""
    mask = Mask(secrets)
    text = form == "text" or (form == "auto" and sys.stderr.isatty())
    renderer: Processor = (
        structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback)
        if text
        else structlog.processors.JSONRenderer()
    )
    shared: list[Processor] = [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        mask,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *([inert] if text else []),
                renderer,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("tocsin").setLevel(level.upper())
    # httpx logs every full URL at INFO, and a Slack webhook's URL is its secret.
    for name in ("httpx", "httpcore", "slack_sdk", "apscheduler", "uvicorn"):
        logging.getLogger(name).setLevel(logging.WARNING)


def get() -> structlog.stdlib.BoundLogger:
    """Tocsin's own logger."""
    logger: structlog.stdlib.BoundLogger = structlog.get_logger("tocsin")
    return logger
