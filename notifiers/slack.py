"""
Slack, by a bot token (blocks, with the evidence in the thread) or by an incoming webhook's URL (one message).

slack_sdk makes the requests and reads the answers; they leave through `outbound`, because the SDK's own way follows
redirects with the token, waits for ever on a dripping answer, and reaches inner hosts. Its retries are off: the outbox
decides when to try again. Its log is off: it prints URLs and bodies.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Self
from urllib.request import Request

from pydantic import SecretStr, field_validator, model_validator
from slack_sdk.errors import SlackApiError
from slack_sdk.web import SlackResponse, WebClient
from slack_sdk.webhook import WebhookClient
from slack_sdk.webhook.webhook_response import WebhookResponse

from engine.alert import Alert
from engine.delivery import Delivered, Delivery, Finding, NotifierPlugin, Outcome, Refused, TryLater
from engine.rule import Severity
from notifiers import slack_message
from notifiers.card import Card, card
from notifiers.outbound import Answer, Deadline, Outbound, OutboundSettings, checked_url, reachable, retry_after
from notifiers.settings import one_line
from notifiers.slack_message import Mention, Payload
from notifiers.text import visible

SLACK = "https://slack.com/api/"
EVENT_TYPE = "tocsin_alert"
HISTORY_PAGES = 5
LOOK_UPS = 3  # attempts that insist on looking before sending again; then a repeat is better than silence
CLOCK_MARGIN = 600  # seconds by which Slack's clock and ours may differ

# Slack's error codes (docs.slack.dev, chat.postMessage; slack-api-specs; grafana/oncall errors.py).
RATE_LIMITED = frozenset({"ratelimited", "rate_limited", "message_limit_exceeded"})
PERHAPS_DONE = frozenset({"internal_error", "fatal_error"})  # documented: part of it may have succeeded
TRANSIENT = frozenset({"service_unavailable", "request_timeout", "team_added_to_org", "rollup_error"})
BAD_FORM = frozenset(
    {
        "invalid_blocks", "invalid_blocks_format", "msg_too_long", "msg_blocks_too_long", "no_text",
        "too_many_attachments", "invalid_attachments", "invalid_arguments", "invalid_arg_name", "invalid_array_arg",
        "invalid_payload", "invalid_json", "json_not_object", "invalid_form_data", "invalid_charset",
        "missing_text_or_fallback_or_attachments", "metadata_too_large", "invalid_metadata_format",
        "invalid_metadata_schema", "markdown_text_conflict",
    }
)  # fmt: skip
# Not this message is refused but every one, until a person mends the app, its token or the channel.
CONFIGURATION = frozenset(
    {
        "channel_not_found", "not_in_channel", "is_archived", "channel_is_archived", "invalid_auth", "not_authed",
        "account_inactive", "token_revoked", "token_expired", "missing_scope", "restricted_action", "no_permission",
        "ekm_access_denied", "no_service", "no_team", "invalid_token", "action_prohibited",
        "posting_to_general_channel_denied", "not_allowed_token_type", "org_login_required", "team_access_not_granted",
        "access_denied", "enterprise_is_restricted", "user_not_found",
    }
)  # fmt: skip
GONE_STATUS = frozenset({401, 403, 404, 405, 410})  # without a code of Slack's: it is not Slack that answers there
WHAT_TO_DO: Mapping[str, str] = {
    "channel_not_found": "check the channel's id, and that the app is in it if it is private",
    "not_in_channel": "invite the app to the channel",
    "is_archived": "the channel is archived",
    "channel_is_archived": "the channel is archived",
    "invalid_auth": "the token is wrong",
    "not_authed": "the token is missing",
    "account_inactive": "the token's account is gone",
    "token_revoked": "the token was revoked",
    "token_expired": "the token has ended",
    "missing_scope": "the app needs the scope chat:write",
    "no_service": "the webhook was deleted or its app removed",
    "no_team": "the workspace is gone",
    "invalid_token": "the webhook's URL is wrong",
}


class Settings(OutboundSettings):
    """Either `token` and `channel` (a bot), or `url` (an incoming webhook)."""

    token: SecretStr | None = None
    channel: str | None = None
    url: SecretStr | None = None
    mention: str | None = None
    """Whom a critical alert pings: here, channel, a user id (U…) or a user group id (S…)."""
    base_url: str | None = None
    """Where Slack's API is, for GovSlack or a test double; default https://slack.com/api/."""

    @field_validator("token")
    @classmethod
    def _bot_token(cls, token: SecretStr | None) -> SecretStr | None:
        if token is None:
            return None
        token = one_line(token)
        if token.get_secret_value().startswith(("xapp-", "https://", "http://")):
            raise ValueError("is not a bot token: those begin with xoxb-")
        return token

    @field_validator("channel")
    @classmethod
    def _channel_name(cls, channel: str | None) -> str | None:
        if channel is not None and not re.fullmatch(r"#?[^\s#<>&@:,]{1,80}", channel):
            raise ValueError("is not a channel: use its id (C0123456789), at the foot of the channel's details")
        return channel

    @field_validator("mention")
    @classmethod
    def _mention(cls, text: str | None) -> str | None:
        if text is not None:
            slack_message.mention(text)
        return text

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if self.url is not None:
            if self.token is not None or self.channel is not None or self.base_url is not None:
                raise ValueError("url (an incoming webhook) excludes token, channel and base_url")
            self._checked("url", self.url.get_secret_value())
        elif self.token is None or self.channel is None:
            raise ValueError("needs token and channel (a bot), or url (an incoming webhook)")
        if self.base_url is not None:
            self._checked("base_url", self.base_url)
        return self

    def _checked(self, name: str, url: str) -> None:
        try:
            checked_url(url, allow_http=self.allow_http)
        except ValueError as fault:
            raise ValueError(f"{name} {fault}") from None


# --- the SDK, through our door ---------------------------------------------------------------------------------------


class _Unanswered(Exception):
    """No answer of Slack's came back; carries what that means."""

    def __init__(self, outcome: TryLater | Refused) -> None:
        super().__init__(outcome.reason)
        self.outcome = outcome


def _silent() -> logging.Logger:
    """A logger that keeps everything to itself. The SDK compares its level to DEBUG: it must be set."""
    logger = logging.Logger("notifiers.slack.sdk", level=logging.CRITICAL + 1)  # noqa: LOG001 not in the tree on purpose
    logger.addHandler(logging.NullHandler())
    return logger


class _Door:
    """What both clients of the SDK send through."""

    def __init__(self, outbound: Outbound) -> None:
        self.outbound = outbound
        self.deadline = Deadline(0)

    def post(self, url: str, request: Request) -> Answer:
        body = request.data if isinstance(request.data, bytes) else b""
        headers = {name: str(value) for name, value in request.header_items()}
        answer = self.outbound.post(url, body, headers, self.deadline)
        if isinstance(answer, Answer):
            return answer
        raise _Unanswered(answer)


class _Api(WebClient):
    """slack_sdk's Web API client; a test holds that no request leaves it but through the door."""

    def __init__(self, token: str, base_url: str, door: _Door) -> None:
        super().__init__(token=token, base_url=base_url, logger=_silent(), retry_handlers=[])
        self._door = door

    def _perform_urllib_http_request_internal(self, url: str, req: Request) -> dict[str, Any]:
        answer = self._door.post(url, req)
        if "ok" not in _object(answer):
            raise _Unanswered(_no_slack(answer))
        return {"status": answer.status, "headers": dict(answer.headers), "body": answer.text}


class _Hook(WebhookClient):
    """slack_sdk's client of incoming webhooks, through the same door."""

    def __init__(self, url: str, door: _Door) -> None:
        super().__init__(url=url, logger=_silent(), retry_handlers=[])
        self._door = door

    def _perform_http_request_internal(self, url: str, req: Request) -> WebhookResponse:
        answer = self._door.post(url, req)
        return WebhookResponse(
            url="", status_code=answer.status, body=answer.text if answer.whole else "", headers=dict(answer.headers)
        )


def _object(answer: Answer) -> Mapping[str, Any]:
    """The answer's JSON object, empty where there is none."""
    try:
        value = json.loads(answer.text)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _no_slack(answer: Answer) -> TryLater | Refused:
    """What an answer means that is not Slack's JSON: a proxy's page, half an answer, another server."""
    judged = _by_status(answer.status, answer.headers)
    if judged is not None:
        return judged
    what = "a web page" if answer.is_page else "no answer of Slack's"
    return TryLater(f"HTTP {answer.status} with {what}", ambiguous=True)


def _by_status(status: int, headers: Mapping[str, str]) -> TryLater | Refused | None:
    """What a status says by itself; None for 2xx, which says nothing yet."""
    if status == 429:
        return TryLater("rate limited (HTTP 429)", after=retry_after(headers, datetime.now(UTC)), limited=True)
    if status == 408:
        return TryLater("HTTP 408")
    if status >= 500:
        # Slack, or a gateway before it, may have posted the message all the same.
        return TryLater(f"HTTP {status}", after=retry_after(headers, datetime.now(UTC)), ambiguous=True)
    if 300 <= status < 400:
        return Refused(f"HTTP {status}: redirects are not followed", permanent=True)
    if not 200 <= status < 300:
        return Refused(f"HTTP {status}", permanent=status in GONE_STATUS)
    return None


def _error_word(text: object) -> str:
    """An error code of Slack's, "" when it does not look like one: other text could repeat a secret."""
    return text if isinstance(text, str) and re.fullmatch(r"[a-z_]{2,60}", text) else ""


def _judged(code: str, status: int, headers: Mapping[str, str]) -> TryLater | Refused:
    """What an error code means; an unknown code with a good status is refused under its name."""
    wait = retry_after(headers, datetime.now(UTC))
    if status == 429 or code in RATE_LIMITED:
        return TryLater(f"rate limited ({code or status})", after=wait, limited=True)
    if code in PERHAPS_DONE:
        return TryLater(code, after=wait, ambiguous=True)
    if code in TRANSIENT:
        return TryLater(code, after=wait)
    by_status = _by_status(status, headers)
    if isinstance(by_status, TryLater):
        return by_status
    name = code or f"HTTP {status} with an unknown error"
    permanent = code in CONFIGURATION or (not code and status in GONE_STATUS)
    return Refused(f"{name}: {WHAT_TO_DO[code]}" if code in WHAT_TO_DO else name, permanent)


@dataclass(frozen=True, slots=True)
class _Posted:
    channel: str
    ts: str


@dataclass(frozen=True, slots=True)
class _BadForm:
    """Slack, or our own check before it, refuses the form of the message."""

    code: str


# --- the notifiers ---------------------------------------------------------------------------------------------------


def build(name: str, settings: Settings) -> Bot | Webhook:
    """The notifier called *name*: a bot where there is a token, else an incoming webhook."""
    return Webhook(name, settings) if settings.url is not None else Bot(name, settings)


class Bot:
    """Posts with a bot token: the alert in the channel, why and evidence in its thread."""

    def __init__(self, name: str, settings: Settings) -> None:
        if settings.token is None or settings.channel is None:
            raise ValueError("a bot needs token and channel")
        self.name = name
        self._outbound = Outbound(settings)
        self._door = _Door(self._outbound)
        self._api = _Api(settings.token.get_secret_value(), settings.base_url or SLACK, self._door)
        self._channel = settings.channel
        self._channel_id = settings.channel if re.fullmatch(r"[CGD][A-Z0-9]{5,}", settings.channel) else ""
        self._mention = slack_message.mention(settings.mention) if settings.mention else None
        self._timeout = settings.timeout

    @property
    def pace(self) -> timedelta:
        """Slack takes one message a second per channel, and each alert is two."""
        return timedelta(seconds=2)

    def send(self, delivery: Delivery) -> Outcome:
        self._door.deadline = Deadline(self._timeout)
        shown = card(delivery.alert, delivery.destination)
        remark = ""
        if delivery.earlier_ambiguous:
            found = self._look_up(delivery)
            if isinstance(found, TryLater) and delivery.attempt <= LOOK_UPS:
                return found
            if isinstance(found, Delivered):
                return found
            if isinstance(found, TryLater | Refused):
                remark = f"; whether an earlier attempt arrived could not be seen: {found.reason}"
        thread = self._thread(delivery.thread)
        # What takes an alert back stands in that alert's thread, and in the channel too: who read one sees the other.
        posted = self._post_or_plain(
            lambda: slack_message.parent(shown, self._ping(shown)),
            lambda fault: slack_message.plain_parent(shown, self._ping(shown), fault),
            metadata=_metadata(delivery),
            **({"thread_ts": thread, "reply_broadcast": True} if thread else {}),
        )
        if not isinstance(posted, _Posted):
            return posted
        self._channel_id = posted.channel
        reasons = self._post_reasons(shown, _Posted(posted.channel, thread or posted.ts))
        return Delivered(f"{posted.channel}/{posted.ts}{remark}{reasons}")

    def _thread(self, receipt: str) -> str:
        """The ts of the message of *receipt* ("C0123456789/1700000000.000100; …"), where that is in our channel."""
        channel, _, rest = receipt.partition("/")
        ts = rest.partition(";")[0].strip()
        return ts if channel in (self._channel_id, self._channel) and re.fullmatch(r"\d+\.\d+", ts) else ""

    def preview(self, delivery: Delivery) -> str:
        shown = card(delivery.alert, delivery.destination)
        messages = {
            "chat.postMessage": slack_message.parent(shown, self._ping(shown)) | {"metadata": _metadata(delivery)},
            "chat.postMessage in its thread": slack_message.reply(shown),
        }
        return json.dumps(messages, ensure_ascii=False, indent=2)

    def check(self) -> Sequence[Finding]:
        """The token (auth.test), its scopes (the header x-oauth-scopes of every answer), and the channel."""
        self._door.deadline = Deadline(self._timeout)
        answer = self._asked(self._api.auth_test)
        if isinstance(answer, TryLater):
            return [Finding(False, f"Slack cannot be asked: {answer.reason}", "check network, DNS and firewall")]
        if isinstance(answer, Refused):
            return [Finding(False, f"Slack does not know the token: {answer.reason}", "make a new bot token (xoxb-…)")]
        given = {name.lower(): str(value) for name, value in answer.headers.items()}.get("x-oauth-scopes", "")
        scopes = {scope.strip() for scope in given.split(",") if scope.strip()}
        found = [Finding(True, f"the token is good (app {visible(str(answer.get('user', '?')), 40)})")]
        return [*found, *_scope_findings(scopes), self._channel_finding()]

    def _channel_finding(self) -> Finding:
        if not self._channel_id:
            to_do = "use the channel's id (C0123456789): with a name, an earlier attempt cannot be looked up"
            return Finding(None, "the channel is given by name, it cannot be looked at", to_do)
        self._door.deadline = Deadline(self._timeout)
        answer = self._asked(lambda: self._api.conversations_info(channel=self._channel_id))
        if isinstance(answer, TryLater | Refused):
            if answer.reason.startswith("missing_scope"):
                to_do = "add channels:read (groups:read for a private channel) to see it here; sending does not need it"
                return Finding(None, "whether the app is in the channel cannot be seen: it lacks a scope", to_do)
            return Finding(False, f"the channel cannot be used: {answer.reason}", "check its id; invite the app to it")
        channel = answer.get("channel") or {}
        if channel.get("is_archived"):
            return Finding(False, "the channel is archived", "unarchive it, or choose another")
        if not channel.get("is_member"):
            return Finding(False, "the app is not in the channel", "invite it: /invite @NAME-OF-THE-APP in the channel")
        return Finding(True, "the app is in the channel")

    def _asked(self, ask: Callable[[], SlackResponse]) -> SlackResponse | TryLater | Refused:
        try:
            return ask()
        except _Unanswered as unanswered:
            return unanswered.outcome
        except SlackApiError as refusal:
            judged = _refusal(refusal)
            return Refused(judged.code) if isinstance(judged, _BadForm) else judged

    def close(self) -> None:
        self._outbound.close()

    def _ping(self, shown: Card) -> Mention | None:
        return self._mention if shown.severity >= Severity.CRITICAL else None

    def _post_reasons(self, shown: Card, posted: _Posted) -> str:
        """
        Puts the reasons into the thread; what to add to the receipt when that fails.

        The alert itself has arrived. A second attempt of the delivery would say it twice, so there is none.
        """
        outcome = self._post_or_plain(
            lambda: slack_message.reply(shown),
            lambda fault: slack_message.plain_reply(shown, fault),
            channel=posted.channel,
            thread_ts=posted.ts,
        )
        return "" if isinstance(outcome, _Posted) else f"; evidence not posted: {outcome.reason}"

    def _post_or_plain(
        self, form: Callable[[], Payload], plain: Callable[[str], Payload], **more: Any
    ) -> _Posted | TryLater | Refused:
        """Posts the message; in the same attempt as plain text when its form is refused."""
        payload = _formed(form)
        posted = payload if isinstance(payload, _BadForm) else self._post(payload | more)
        if not isinstance(posted, _BadForm):
            return posted
        if "metadata" in posted.code:
            more.pop("metadata", None)
        again = self._post(plain(posted.code) | more)
        return Refused(f"{again.code}, as blocks and as plain text") if isinstance(again, _BadForm) else again

    def _post(self, message: Payload) -> _Posted | _BadForm | TryLater | Refused:
        arguments: dict[str, Any] = {"channel": self._channel} | message
        try:
            answer = self._api.chat_postMessage(**arguments)
        except _Unanswered as unanswered:
            return unanswered.outcome
        except SlackApiError as refusal:
            return _refusal(refusal)
        channel, ts = answer.get("channel"), answer.get("ts")
        if not (isinstance(channel, str) and isinstance(ts, str) and channel and ts):
            return TryLater("ok without a message's ts: no answer of Slack's", ambiguous=True)
        return _Posted(visible(channel, 40), visible(ts, 40))

    def _look_up(self, delivery: Delivery) -> Delivered | TryLater | Refused | None:
        """
        The delivery if an earlier attempt did arrive, by the id in the message's metadata (conversations.history).

        None when it is not there; TryLater and Refused when that cannot be known.
        """
        if not self._channel_id:
            return Refused("looking it up needs the channel's id, not its name")
        oldest = str(max(0, int(delivery.queued or delivery.alert.created) - CLOCK_MARGIN))
        cursor: str | None = None
        for _ in range(HISTORY_PAGES):
            try:
                page = self._api.conversations_history(
                    channel=self._channel_id, oldest=oldest, include_all_metadata=True, limit=200, cursor=cursor
                )
            except _Unanswered as unanswered:
                return _still_ambiguous(unanswered.outcome)
            except SlackApiError as refusal:
                judged = _refusal(refusal)
                if isinstance(judged, _BadForm):
                    return Refused(judged.code)
                if isinstance(judged, Refused) and judged.reason.startswith("missing_scope"):
                    return Refused("missing_scope: the app needs channels:history (groups:history if private)")
                return _still_ambiguous(judged)
            for message in _list(page.get("messages")):
                if _carries(message, delivery.id):
                    return self._resumed(delivery, message)
            cursor = str((page.get("response_metadata") or {}).get("next_cursor") or "")
            if not cursor:
                return None
        return Refused("too many messages since then")

    def _resumed(self, delivery: Delivery, message: Mapping[str, Any]) -> Delivered:
        """An earlier attempt arrived; its thread may still lack the reasons."""
        posted = _Posted(self._channel_id, visible(str(message.get("ts", "")), 40))
        shown = card(delivery.alert, delivery.destination)
        failed = "" if message.get("reply_count") else self._post_reasons(shown, posted)
        return Delivered(f"{posted.channel}/{posted.ts}; an earlier attempt had arrived{failed}")


class Webhook:
    """Posts to an incoming webhook: one message, no thread, no receipt."""

    def __init__(self, name: str, settings: Settings) -> None:
        if settings.url is None:
            raise ValueError("a webhook needs url")
        self.name = name
        self._outbound = Outbound(settings)
        self._door = _Door(self._outbound)
        self._url = settings.url.get_secret_value().strip()
        self._hook = _Hook(self._url, self._door)
        self._mention = slack_message.mention(settings.mention) if settings.mention else None
        self._timeout = settings.timeout

    @property
    def pace(self) -> timedelta:
        """Slack takes one message a second per webhook."""
        return timedelta(seconds=1)

    def send(self, delivery: Delivery) -> Outcome:
        self._door.deadline = Deadline(self._timeout)
        shown = self._card(delivery)
        payload = _formed(lambda: slack_message.single(shown, self._ping(shown)))
        sent = payload if isinstance(payload, _BadForm) else self._post(payload)
        if isinstance(sent, _BadForm):
            sent = self._post(slack_message.plain_parent(shown, self._ping(shown), sent.code))
        return Refused(f"{sent.code}, as blocks and as plain text") if isinstance(sent, _BadForm) else sent

    def preview(self, delivery: Delivery) -> str:
        shown = self._card(delivery)
        message = {"POST to the incoming webhook": slack_message.single(shown, self._ping(shown))}
        return json.dumps(message, ensure_ascii=False, indent=2)

    def check(self) -> Sequence[Finding]:
        unknown = f"whether the webhook is still good cannot be seen without sending: `tocsin notify {self.name}`"
        return [reachable(self._outbound.head(self._url, Deadline(self._timeout))), Finding(None, unknown)]

    def close(self) -> None:
        self._outbound.close()

    def _card(self, delivery: Delivery) -> Card:
        return card(delivery.alert, delivery.destination, evidence_limit=slack_message.INLINE_EVIDENCE)

    def _ping(self, shown: Card) -> Mention | None:
        return self._mention if shown.severity >= Severity.CRITICAL else None

    def _post(self, message: Payload) -> Delivered | _BadForm | TryLater | Refused:
        try:
            answer = self._hook.send_dict(message)
        except _Unanswered as unanswered:
            return unanswered.outcome
        if answer.status_code == 200 and answer.body == "ok":
            return Delivered("ok")
        if 200 <= answer.status_code < 300:
            return TryLater(f"HTTP {answer.status_code} without Slack's ok", ambiguous=True)
        code = _error_word(answer.body.strip())
        if code in BAD_FORM and answer.status_code < 500:
            return _BadForm(code)
        return _judged(code, answer.status_code, answer.headers)


def _scope_findings(scopes: set[str]) -> list[Finding]:
    if not scopes:
        return [Finding(None, "Slack does not say which scopes the token has")]
    if "chat:write" not in scopes:
        return [Finding(False, "the token may not post", "add the scope chat:write to the app and install it again")]
    found = [Finding(True, "the token may post (chat:write)")]
    if not scopes & {"channels:history", "groups:history"}:
        to_do = (
            "add channels:history (groups:history for a private channel), or a lost answer may mean a second message"
        )
        found.append(Finding(None, "the token may not read the channel to see whether a message arrived", to_do))
    return found


def _formed(form: Callable[[], Payload]) -> Payload | _BadForm:
    """The message, if it could be made and keeps Slack's limits. A fault in a layout must not swallow an alert."""
    try:
        payload = form()
    except Exception as fault:  # noqa: BLE001 whatever broke, the plain form goes out and names it
        return _BadForm(f"layout ({type(fault).__name__})")
    found = slack_message.problems(payload)
    return _BadForm(f"own check ({found[0]})") if found else payload


def _refusal(refusal: SlackApiError) -> _BadForm | TryLater | Refused:
    response = refusal.response  # its text holds the URL and the body: never printed
    code = _error_word(response.get("error"))
    if code in BAD_FORM and response.status_code < 500:
        return _BadForm(code)
    return _judged(code, response.status_code, response.headers)


def _still_ambiguous(outcome: TryLater | Refused) -> TryLater | Refused:
    if isinstance(outcome, Refused):
        return outcome
    return TryLater(f"looking for an earlier attempt: {outcome.reason}", after=outcome.after, ambiguous=True)


def _metadata(delivery: Delivery) -> dict[str, Any]:
    alert: Alert = delivery.alert
    return {"event_type": EVENT_TYPE, "event_payload": {"delivery_id": delivery.id, "alert_id": alert.id}}


def _carries(message: Any, delivery_id: str) -> bool:
    metadata = message.get("metadata") if isinstance(message, Mapping) else None
    if not isinstance(metadata, Mapping) or metadata.get("event_type") != EVENT_TYPE:
        return False
    payload = metadata.get("event_payload")
    return isinstance(payload, Mapping) and payload.get("delivery_id") == delivery_id


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


PLUGIN = NotifierPlugin(Settings, build)
