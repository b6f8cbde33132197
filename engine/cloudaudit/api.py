"""
One service of API 3.0: an action asked until it is answered, or until asking again cannot help.

What is worth a second try is written with each error (`errors.Retry`); here it is done, at most three times in a call,
after a pause, with the clock corrected or with renewed credentials. An action that writes is not sent again after an
error that leaves open whether it was carried out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

import stamina
import structlog

from engine.cloudaudit.answers import Answer, read
from engine.cloudaudit.clock import Clock
from engine.cloudaudit.codes import AuthFailureSignatureExpire, error_class
from engine.cloudaudit.credentials import Credentials, Provider
from engine.cloudaudit.errors import (
    ApiError,
    BrokenAnswerError,
    CloudAuditError,
    HttpRefusedError,
    HttpStatusError,
    Retry,
)
from engine.cloudaudit.pace import Pace
from engine.cloudaudit.transport import Exchange, Request, Transport

log = structlog.get_logger(__name__)

ATTEMPTS = 3
LONGEST_WAIT = (
    10.0  # seconds that we sleep because a server asked for it; if it wants more, the next poll is soon enough
)
LONGEST_MESSAGE = 1000  # characters of the server's text that are passed on
SHORTEST_SECRET = 8  # characters; real ones have 32 and more, and a shorter text would be found in any word

A = TypeVar("A", bound=Answer)


# Without this, stamina prints each retry, through structlog's default, on stdout: that is for data. A retry that ends
# well is nobody's business, and one that does not ends in an error that says why.
stamina.instrumentation.set_on_retry_hooks([])


class Api:
    """Asks actions of one service and version. Safe to share between threads."""

    def __init__(
        self, transport: Transport, credentials: Provider, *, version: str, region: str, clock: Clock, pace: Pace
    ) -> None:
        self.clock = clock
        self._transport = transport
        self._credentials = credentials
        self._version = version
        self._region = region
        self._pace = pace
        self._closed = False

    def ask(self, action: str, parameters: Mapping[str, object], answer: type[A], *, writes: bool) -> A:
        """The answer to *action*. Raises CloudAuditError; *writes* says whether the action changes anything."""
        again = stamina.RetryingCaller(
            attempts=ATTEMPTS, timeout=None, wait_initial=0.5, wait_max=LONGEST_WAIT, wait_jitter=0.5
        )
        request = Request(action, self._version, self._region, parameters)
        second_thoughts = _SecondThoughts(self._credentials, self.clock, writes=writes, closed=lambda: self._closed)

        def attempt() -> A:
            credentials = second_thoughts.asked_with = self._credentials.current()
            with self._pace.turn(action):
                exchange = self._transport.exchange(request, credentials)
            return _answer(exchange, request, credentials, answer)

        try:
            answered: A = again(second_thoughts, attempt)
            return answered
        except AuthFailureSignatureExpire as error:
            message = f"{error.message.rstrip('.')}; {self.clock.describe()}"
            raise type(error)(message, action=action, request_id=error.request_id) from None

    def close(self) -> None:
        """Give up the connection, and asking again."""
        self._closed = True
        self._transport.close()


class _SecondThoughts:
    """Whether one call asks again after an error, and after how many seconds; mends first what made it fail."""

    def __init__(self, credentials: Provider, clock: Clock, *, writes: bool, closed: Callable[[], bool]) -> None:
        self._credentials = credentials
        self._clock = clock
        self._writes = writes
        self._closed = closed
        self._mended: set[Retry] = set()
        self.asked_with: Credentials | None = None

    def __call__(self, error: Exception) -> bool | float:
        if not isinstance(error, CloudAuditError) or self._closed() or (self._writes and error.ambiguous):
            return False
        if error.retry is Retry.BACK_OFF:
            return error.after is None or (error.after <= LONGEST_WAIT and float(error.after))
        if error.retry in self._mended:
            return False
        self._mended.add(error.retry)
        if error.retry is Retry.AFTER_CLOCK_CHECK:
            return self._corrected_clock() and 0.0
        if error.retry is Retry.AFTER_CREDENTIAL_REFRESH:
            return self._credentials.current(fresh=True) != self.asked_with and 0.0
        return False  # never, or for the caller: a smaller page

    def _corrected_clock(self) -> bool:
        corrected = self._clock.correct()
        if corrected:
            log.warning("requests are signed with Tencent's time from now on", reason=self._clock.describe())
        return corrected


def _answer(exchange: Exchange, request: Request, credentials: Credentials, answer: type[A]) -> A:
    """What *exchange* says. An error code counts under any HTTP status, the documented one being 200."""
    try:
        found = read(exchange.body, answer)
    except BrokenAnswerError as error:
        if exchange.status == 200:
            raise BrokenAnswerError(f"{request.action}: {error}") from None
        raise _status_error(exchange, request.action) from None
    if found.error is not None:
        raise _api_error(found, exchange, request.action, credentials)
    if exchange.status != 200:
        raise _status_error(exchange, request.action)
    return found


def _api_error(found: Answer, exchange: Exchange, action: str, credentials: Credentials) -> ApiError:
    assert found.error is not None
    error = error_class(found.error.code)(
        _printable(found.error.message or "without a message", credentials),
        code=_printable(found.error.code, credentials) or "an error without a code",
        action=action,
        request_id=_printable(found.request_id or "", credentials),
    )
    error.after = exchange.after
    return error


def _status_error(exchange: Exchange, action: str) -> HttpStatusError | HttpRefusedError:
    message = f"{action}: HTTP {exchange.status}"
    if exchange.status >= 500 or exchange.status in (408, 425, 429):
        return HttpStatusError(message, after=exchange.after)
    if 300 <= exchange.status < 400:
        return HttpRefusedError(f"{message}: a redirect, which is not followed; check the endpoint")
    return HttpRefusedError(message)


def _printable(text: str, credentials: Credentials) -> str:
    """The server's words, fit for a log: no control characters, not endless, and never our key should it be echoed."""
    for secret in (credentials.secret_key, credentials.token):
        if len(secret) >= SHORTEST_SECRET:
            text = text.replace(secret, "[masked]")
    text = "".join(character if character.isprintable() else " " for character in text)
    return text if len(text) <= LONGEST_MESSAGE else text[:LONGEST_MESSAGE] + "…"
