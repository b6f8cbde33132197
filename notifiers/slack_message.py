"""
An alert as Slack messages: blocks for the channel, the reasons for the thread, and plain text for when blocks fail.

Slack takes plain dicts unexamined and then refuses the message, or its SDK's models miss half of the limits: so
`problems` knows all that we rely on. Event text stands only where Slack takes it literally (header, rich_text,
plain_text) or in code spans; mentions come from configuration alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from notifiers.card import Card
from notifiers.text import Markup, code, length, literal, plain

Block = dict[str, Any]
Payload = dict[str, Any]

# Limits: @slack/types 3.2.0 block-kit definitions, slack_sdk 3.47 models, api.slack.com changelog of 2018-04.
TOP_TEXT = 4_000
HEADER = 150
SECTION_TEXT = 3_000
FIELD = 2_000
# Not documented: 9,597 characters over all blocks were accepted, 11,341 refused (slackapi/bolt-js issues 2509, 2867).
ALL_TEXT = 9_500
PLAIN = 3_000  # the plain fallback
FACT = 500  # one field, escaped: six of them leave room for the rest
INLINE_EVIDENCE = 1_500  # where there is no thread to put it in

NOT_BLOCKS = {"unfurl_links": False, "unfurl_media": False, "parse": "none", "link_names": False}


@dataclass(frozen=True, slots=True)
class Room:
    """How long the parts of the reasons may be, so that with all at their longest ALL_TEXT still holds."""

    description: int
    matched: int
    runbook: int


IN_THREAD = Room(description=600, matched=1_500, runbook=2_000)
IN_ONE = Room(description=300, matched=800, runbook=800)


@dataclass(frozen=True, slots=True)
class Mention:
    """Whom a critical alert pings: from configuration only. *name* is a user id, a group id, or a range."""

    kind: Literal["user", "usergroup", "broadcast"]
    name: str

    @property
    def element(self) -> Block:
        match self.kind:
            case "user":
                return {"type": "user", "user_id": self.name}
            case "usergroup":
                return {"type": "usergroup", "usergroup_id": self.name}
            case "broadcast":
                return {"type": "broadcast", "range": self.name}

    @property
    def markup(self) -> Markup:
        match self.kind:
            case "user":
                return Markup(f"<@{self.name}>")
            case "usergroup":
                return Markup(f"<!subteam^{self.name}>")
            case "broadcast":
                return Markup(f"<!{self.name}>")


def mention(text: str) -> Mention:
    """
    `here`, `channel`, a user id (U…, W…) or a user group id (S…), bare or as Slack writes it: `<!subteam^S012>`.

    Raises ValueError for anything else.
    """
    if found := re.fullmatch(r"<?[@!]?(here|channel|everyone)>?", text):
        return Mention("broadcast", found[1])
    if found := re.fullmatch(r"(?:<!subteam\^)?(S[A-Z0-9]{2,})>?", text):
        return Mention("usergroup", found[1])
    if found := re.fullmatch(r"(?:<@)?([UW][A-Z0-9]{2,})>?", text):
        return Mention("user", found[1])
    raise ValueError("is no mention: use here, channel, a user id (U…) or a user group id (S…)")


# --- messages --------------------------------------------------------------------------------------------------------


def parent(card: Card, ping: Mention | None) -> Payload:
    """The message in the channel: readable in five seconds, also on a lock screen (`text`)."""
    return {"text": _push(card).text, "mrkdwn": False, "blocks": _headline(card, ping), **NOT_BLOCKS}


def reply(card: Card) -> Payload:
    """The first message in its thread: why, evidence, what to check."""
    return {
        "text": f"Why, evidence and what to check for {plain(card.alert_id, 100).text}",
        "mrkdwn": False,
        "blocks": [_reasons(card, IN_THREAD)],
        **NOT_BLOCKS,
    }


def single(card: Card, ping: Mention | None) -> Payload:
    """Both in one, for an incoming webhook, which has no thread."""
    return {
        "text": _push(card).text,
        "mrkdwn": False,
        "blocks": [*_headline(card, ping), {"type": "divider"}, _reasons(card, IN_ONE)],
        **NOT_BLOCKS,
    }


def plain_parent(card: Card, ping: Mention | None, fault: str) -> Payload:
    """The alert without any block, saying that *fault* kept them away: an ugly alert beats none."""
    lines = [Markup("*") + plain(card.badge, 30) + Markup("* ") + code(card.title, 300), code(card.said, 900)]
    lines += [plain(fact.label, 30) + Markup(": ") + code(fact.value, 200) for fact in card.facts]
    lines.append(Markup("Rule: ") + code(card.origin, 300))
    lines.append(code(card.footer, 200))
    lines.append(Markup("formatting failed: ") + plain(fault, 100))
    ours = ping.markup + Markup("\n") if ping else Markup("")
    return {"text": (ours + _joined(lines, PLAIN - length(ours.text))).text, **NOT_BLOCKS}


def plain_reply(card: Card, fault: str) -> Payload:
    """The reasons as plain text; the evidence is left out, since only blocks show it safely and whole."""
    lines = [Markup("Matched: ") + code(card.matched, 1_000)]
    lines += [code(step, 300) for step in card.runbook]
    lines.append(Markup("formatting failed: ") + plain(fault, 100))
    return {"text": _joined(lines, PLAIN).text, **NOT_BLOCKS}


def _joined(lines: Iterable[Markup], limit: int) -> Markup:
    """Whole lines as far as they fit: a line is never cut inside an escape or a code span."""
    return Markup("\n".join(_fitting((line.text for line in lines), limit)))


def _fitting(lines: Iterable[str], limit: int) -> Iterator[str]:
    """*lines* from the first, as long as they fit into *limit* with a line end each."""
    for line in lines:
        limit -= length(line) + 1
        if limit < 0:
            return
        yield line


def _push(card: Card) -> Markup:
    return Markup(f"[{card.badge}] ") + plain(card.title, 600) + Markup(": ") + plain(card.said, 1_500)


def _headline(card: Card, ping: Mention | None) -> list[Block]:
    blocks: list[Block] = [
        {"type": "header", "text": _plain_text(f"{card.badge}  {card.title}", HEADER)},
        {"type": "rich_text", "elements": [{"type": "rich_text_section", "elements": _sentence(card, ping)}]},
        {"type": "section", "fields": [_field(fact.label, fact.value) for fact in card.facts]},
        {"type": "context", "elements": [_plain_text(card.origin, 500), _plain_text(card.footer, 300)]},
    ]
    if card.link:
        button = {
            "type": "button",
            "action_id": "runbook",
            "text": _plain_text("Runbook", 75),
            "url": card.link,
        }
        blocks.append({"type": "actions", "elements": [button]})
    return blocks


STYLES: Mapping[str, Block] = {"who": {"bold": True}, "value": {"code": True}, "prose": {}}


def _sentence(card: Card, ping: Mention | None) -> list[Block]:
    elements: list[Block] = []
    if ping:
        elements += [ping.element, _text(" ")]
    elements += [_text(literal(part.text, 300), **STYLES[part.role]) for part in card.sentence]
    elements += [_text(", "), _date(card)]
    return elements


def _date(card: Card) -> Block:
    """The moment in the reader's own time zone; what lies outside of what Slack can show stays text."""
    fallback = card.said.rpartition(", ")[2]
    if not 0 < card.when < 4_102_444_800:  # 2100-01-01
        return _text(fallback)
    return {
        "type": "date",
        "timestamp": card.when,
        "format": "{date_short_pretty} {time_secs}",
        "fallback": fallback,
    }


def _reasons(card: Card, room: Room) -> Block:
    why = [_text("Why\n", bold=True)]
    if card.description:
        why.append(_text(literal(card.description, room.description) + "\n"))
    why += [_text(f"Note: {literal(note, 300)}\n") for note in card.notes[:3]]
    why.append(_text(f"{literal(card.origin, 500)} matched:"))
    elements: list[Block] = [{"type": "rich_text_section", "elements": why}]
    if card.matched:
        because = [literal(reason, 200) for reason in card.reasons]
        elements.append(
            _preformatted("\n".join(_within([literal(card.matched, room.matched), *because], room.matched)))
        )
    if card.evidence.text:
        note = f" ({card.evidence.note})" if card.evidence.note else ""
        title = [_text("Evidence", bold=True), _text(f", secrets replaced{note}")]
        elements.append({"type": "rich_text_section", "elements": title})
        elements.append(_preformatted(card.evidence.text))
    if card.runbook:
        section = [_text("What to check\n", bold=True), _text(_steps(card.runbook, room.runbook))]
        elements.append({"type": "rich_text_section", "elements": section})
    return {"type": "rich_text", "elements": elements}


def _within(lines: Sequence[str], limit: int) -> list[str]:
    """The first line, and as many of the others as fit into *limit* characters with it."""
    fitting = [lines[0]]
    left = limit - len(lines[0])
    for line in lines[1:]:
        left -= len(line) + 1
        if left < 0:
            break
        fitting.append(line)
    return fitting


def _steps(runbook: Iterable[str], limit: int) -> str:
    """The steps a line each, cut where *limit* is reached."""
    steps: list[str] = []
    for step in runbook:
        if limit <= 0:
            break
        steps.append(literal(step, limit))
        limit -= length(steps[-1]) + 1
    return "\n".join(steps)


def _text(text: str, **style: bool) -> Block:
    return {"type": "text", "text": text, "style": dict(style)} if style else {"type": "text", "text": text}


def _preformatted(text: str) -> Block:
    return {"type": "rich_text_preformatted", "elements": [_text(text)]}


def _plain_text(text: str, limit: int) -> Block:
    # emoji: false, or ":x:" in a user's name becomes a picture.
    return {"type": "plain_text", "text": literal(text, limit), "emoji": False}


def _field(label: str, value: str) -> Block:
    text = Markup(f"*{label}*\n") + code(value, FACT)
    # verbatim: no automatic links to URLs, channels and users.
    return {"type": "mrkdwn", "text": text.text, "verbatim": True}


# --- what Slack would refuse -----------------------------------------------------------------------------------------


def problems(payload: Payload) -> list[str]:
    """Every limit that *payload* breaks, in words; empty when Slack has no reason to refuse it for its form."""
    return list(_problems(payload))


def _problems(payload: Payload) -> Iterator[str]:
    text = payload.get("text")
    if not isinstance(text, str) or not text.strip():
        yield "text is empty: push notifications and screen readers read it"
    else:
        yield from _long("text", text, TOP_TEXT)
    blocks = payload.get("blocks", [])
    if len(blocks) > 50:
        yield f"{len(blocks)} blocks, at most 50"
    if (total := sum(length(text) for text in _texts(blocks))) > ALL_TEXT:
        yield f"{total} characters over all blocks, at most {ALL_TEXT}"
    ids = [block["block_id"] for block in blocks if "block_id" in block]
    if len(set(ids)) < len(ids):
        yield "two blocks have the same block_id"
    for index, block in enumerate(blocks):
        for problem in _block_problems(block):
            yield f"block {index} ({block.get('type')}): {problem}"
    attachments = payload.get("attachments", [])
    if len(attachments) > 20:
        yield f"{len(attachments)} attachments, at most 20"
    for attachment in attachments:
        shown = str(attachment.get("text", ""))
        if length(shown) > 700 or shown.count("\n") > 5:
            yield "an attachment's text folds under Show more: at most 700 characters and 5 line breaks"


def _texts(value: Any) -> Iterator[str]:
    """Every text that a reader would see in a block."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            if name in {"text", "fallback", "title", "subtitle", "body", "alt_text"} and isinstance(inner, str):
                yield inner
            else:
                yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)


def _long(what: str, text: Any, limit: int, *, least: int = 1) -> Iterator[str]:
    if not isinstance(text, str):
        yield f"{what} is no text"
    elif not least <= length(text) <= limit:
        yield f"{what} has {length(text)} characters, not {least}..{limit}"


def _many(what: str, items: Any, limit: int, *, least: int = 1) -> Iterator[str]:
    if not isinstance(items, list):
        yield f"{what} is no list"
    elif not least <= len(items) <= limit:
        yield f"{len(items)} {what}, not {least}..{limit}"


def _object(what: str, value: Any, limit: int, kinds: tuple[str, ...] = ("plain_text", "mrkdwn")) -> Iterator[str]:
    """A text object: `{"type": "plain_text" | "mrkdwn", "text": …}`."""
    if not isinstance(value, Mapping) or value.get("type") not in kinds:
        yield f"{what} must be {' or '.join(kinds)}"
        return
    yield from _long(what, value.get("text"), limit)


PLAIN_ONLY = ("plain_text",)
ALERT_LEVELS = ("default", "info", "warning", "error", "success")


def _block_problems(block: Block) -> Iterator[str]:
    if "block_id" in block:
        yield from _long("block_id", block["block_id"], 255)
    match block.get("type"):
        case "header":
            yield from _object("text", block.get("text"), HEADER, PLAIN_ONLY)
        case "section":
            if "text" not in block and "fields" not in block:
                yield "neither text nor fields"
            if "text" in block:
                yield from _object("text", block["text"], SECTION_TEXT)
            if "fields" in block:
                yield from _many("fields", block["fields"], 10)
                for field in block["fields"]:
                    yield from _object("field", field, FIELD)
            if "accessory" in block:
                yield from _element_problems(block["accessory"])
        case "context":
            yield from _many("elements", block.get("elements"), 10)
            for element in block.get("elements", []):
                if element.get("type") == "image":
                    yield from _image_problems(element)
                else:
                    yield from _object("element", element, SECTION_TEXT)
        case "actions":
            yield from _many("elements", block.get("elements"), 25)
            for element in block.get("elements", []):
                yield from _element_problems(element)
        case "image":
            yield from _image_problems(block)
        case "rich_text":
            yield from _many("elements", block.get("elements"), 1_000)
            yield from _rich_problems(block.get("elements", []))
        case "markdown":
            yield from _long("text", block.get("text"), 12_000)
        case "table":
            yield from _many("rows", block.get("rows"), 100)
            for row in block.get("rows") or []:
                yield from _many("columns", row, 20)
        case "alert":
            if block.get("level", "default") not in ALERT_LEVELS:
                yield f"level must be one of {', '.join(ALERT_LEVELS)}"
        case "card":
            for name, limit in (("title", 150), ("subtitle", 150), ("body", 200)):
                if name in block:
                    shown = block[name].get("text") if isinstance(block[name], Mapping) else block[name]
                    yield from _long(name, shown, limit)
        case "carousel":
            yield from _many("elements", block.get("elements"), 10)
            for element in block.get("elements", []):
                yield from _block_problems(element)
        case "container":
            children = block.get("child_blocks") or block.get("elements") or []
            yield from _many("children", children, 10)
            for child in children:
                yield from _block_problems(child)
        case "divider":
            pass
        case other:
            yield f"unknown type {other!r}"


def _element_problems(element: Block) -> Iterator[str]:
    if "action_id" in element:
        yield from _long("action_id", element["action_id"], 255)
    if "confirm" in element:
        confirm = element["confirm"]
        yield from _object("confirm title", confirm.get("title"), 100, PLAIN_ONLY)
        yield from _object("confirm text", confirm.get("text"), 300)
        yield from _object("confirm button", confirm.get("confirm"), 30, PLAIN_ONLY)
        yield from _object("deny button", confirm.get("deny"), 30, PLAIN_ONLY)
    match element.get("type"):
        case "button":
            yield from _object("button text", element.get("text"), 75, PLAIN_ONLY)
            if "value" in element:
                yield from _long("button value", element["value"], 2_000)
            if "url" in element:
                yield from _long("button url", element["url"], 3_000)
        case "overflow":
            yield from _many("options", element.get("options"), 5)
            for option in element.get("options", []):
                yield from _object("option text", option.get("text"), 75, PLAIN_ONLY)
                yield from _long("option value", option.get("value"), 75)  # @slack/types; the SDK allows 150
        case "image":
            yield from _image_problems(element)
        case other:
            yield f"unknown element {other!r}"


def _image_problems(image: Block) -> Iterator[str]:
    yield from _long("alt_text", image.get("alt_text"), 2_000)
    if "image_url" in image:
        yield from _long("image_url", image["image_url"], 3_000)
    if "title" in image:
        yield from _object("title", image["title"], 2_000, PLAIN_ONLY)


RICH_CONTAINERS = {"rich_text_section", "rich_text_preformatted", "rich_text_quote", "rich_text_list"}


def _rich_problems(elements: list[Block]) -> Iterator[str]:
    for element in elements:
        kind = element.get("type")
        if kind in RICH_CONTAINERS:
            yield from _many("rich_text elements", element.get("elements"), 1_000)
            yield from _rich_problems(element.get("elements", []))
        elif kind == "text":
            yield from _long("rich_text text", element.get("text"), ALL_TEXT)
        elif kind == "date":
            if not isinstance(element.get("timestamp"), int) or "{" not in str(element.get("format")):
                yield "a date needs a timestamp and a format"
        elif kind not in {"user", "usergroup", "broadcast", "link", "emoji", "channel"}:
            yield f"unknown rich_text element {kind!r}"
