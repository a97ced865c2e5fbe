"""Pages as Slack messages (Block Kit, Web API).

The first page of an incident's cycle is a message, the next ones are answers in its thread, and the message itself is
kept up to date.

Strangers' words stand in `rich_text` text elements, which Slack shows as they are: no mark-up, no mentions, no links.
The fallback text is escaped as Slack asks for (&, <, >) and not parsed. Limits as of Slack's reference: header 150
characters, 50 blocks, message text 4,000 recommended.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from monitor.clock import Clock, WallClock
from monitor.mention.text import shorten
from monitor.page.channels.http import HttpClient
from monitor.page.compose import fitted, plain, status
from monitor.page.types import Delivery
from monitor.page.voice import Voice

if TYPE_CHECKING:
    from monitor.page.compose import Content, Part
    from monitor.page.types import Page

API = "https://slack.com/api"
MAX_HEADER = 150
MAX_TEXT = 3_000
MAX_FALLBACK = 600
_LINK_TEXT = 75
_AGAIN = frozenset({"ratelimited", "rate_limited", "service_unavailable", "team_added_to_org"})
_BAD_BLOCKS = frozenset({"invalid_blocks", "invalid_blocks_format", "msg_blocks_too_long", "invalid_attachments"})
_UNKNOWN = frozenset({"fatal_error", "internal_error", "request_timeout"})


class SlackNotifier:
    """Posts to one Slack channel or person with a bot's token (scope `chat:write`). Slack cannot tell a repeat."""

    exactly_once = False

    def __init__(
        self,
        token: str,
        channel: str,
        *,
        name: str = "slack",
        api: str = API,
        timeout_s: float = 10.0,
        clock: Clock | None = None,
        voice: Voice | None = None,
    ) -> None:
        self.name = name
        self._channel = channel
        self._api = api.rstrip("/")
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json; charset=utf-8"}
        self._client = HttpClient(timeout_s)
        self._clock = clock or WallClock()
        self._voice = voice or Voice()

    async def send(self, page: Page) -> Delivery:
        """Post a message, or an answer to the incident's first one."""
        place = _place(page.thread)
        to: dict[str, Any] = {"channel": place[0] if place else self._channel}
        to["metadata"] = {"event_type": "mention_monitor_page", "event_payload": {"key": page.key}}
        if place is not None:
            to |= {"thread_ts": place[1], "reply_broadcast": page.purpose != "notice"}
        return await self._say("chat.postMessage", to, page)

    async def follow(self, page: Page) -> Delivery:
        """Bring the incident's first message up to date; `page.thread` says which one it is."""
        place = _place(page.thread)
        if place is None:
            return Delivery("refused", "the message to update is not known")
        word = status(page, self._voice.reader(page))
        return await self._say("chat.update", {"channel": place[0], "ts": place[1]}, page, word=word)

    async def check(self) -> str | None:
        """Say what is wrong with the token, or that Slack cannot be reached."""
        delivery = await self._call("auth.test", {})
        return None if delivery.outcome == "accepted" else f"Slack says: {delivery.detail}"

    async def close(self) -> None:
        """Close connections."""
        await self._client.close()

    async def _say(self, method: str, to: dict[str, Any], page: Page, *, word: str | None = None) -> Delivery:
        """Say it as well as Slack takes it: it refuses a message whose picture it cannot fetch, or any bad block."""
        content, chart = self._voice.content(page), self._voice.chart(page)
        delivery = Delivery("refused", "nothing to say")
        for picture in (chart, None) if chart else (None,):
            delivery = await self._call(method, to | message_of(content, picture, word=word))
            if delivery.outcome != "refused" or delivery.detail not in _BAD_BLOCKS:
                return delivery
        bare = message_of(content, word=word) | {"text": escape(plain(content, MAX_TEXT))}
        del bare["blocks"]
        return await self._call(method, to | bare)

    async def _call(self, method: str, body: dict[str, Any]) -> Delivery:
        delivery, answer = await self._client.exchange(
            f"{self._api}/{method}", msgspec.json.encode(body), self._headers, now=self._clock.now()
        )
        return delivery if delivery.outcome != "accepted" else _judge(answer)


def message_of(content: Content, chart: str | None = None, *, word: str | None = None) -> dict[str, Any]:
    """Return a message's text and blocks, under Slack's limits.

    Args:
        content: what to say.
        chart: where the chart's picture is, if anywhere.
        word: what the incident has come to, to stand before the headline.
    """
    title = f"{word} · {content.headline}" if word else content.headline
    shown = fitted(content, MAX_TEXT)
    blocks: list[dict[str, Any]] = [
        {"type": "header", "text": {"type": "plain_text", "text": _header(title), "emoji": False}},
    ]
    elements: list[dict[str, Any]] = []
    for part in shown.parts:
        elements += _elements(part)
    if elements:
        blocks.append({"type": "rich_text", "elements": elements})
    if chart is not None:
        blocks.append({"type": "image", "image_url": chart, "alt_text": "now, forecast and viral line"})
    if content.links:
        links: list[dict[str, Any]] = []
        for link in content.links:
            links += [{"type": "link", "url": link.url, "text": link.label, "style": {"bold": True}}, _text("  ")]
        blocks.append({"type": "rich_text", "elements": [{"type": "rich_text_section", "elements": links[:-1]}]})
    return {
        "text": escape(shorten(title, MAX_FALLBACK)),
        "blocks": blocks,
        "parse": "none",
        "mrkdwn": False,
        "link_names": False,
        "unfurl_links": False,
        "unfurl_media": False,
    }


def escape(text: str) -> str:
    """Return a text in which Slack finds no control sequence.

    >>> escape("<!channel> & <@U1|x>")
    '&lt;!channel&gt; &amp; &lt;@U1|x&gt;'
    """
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _header(title: str) -> str:
    """Return a title that fits a header after it is escaped."""
    room = MAX_HEADER
    while len(text := escape(shorten(title, room))) > MAX_HEADER:
        room -= max(1, (len(text) - MAX_HEADER) // 4)
    return text


def _elements(part: Part) -> list[dict[str, Any]]:
    """Return a part: its label in bold, its text as it is; a mention as a quotation."""
    label = [{"type": "text", "text": f"{part.label}  ", "style": {"bold": True}}] if part.label else []
    if part.quote is None:
        return [{"type": "rich_text_section", "elements": [*label, _text(f"{part.text}\n")]}]
    who: list[dict[str, Any]] = [*label, _text(part.quote.who)]
    if part.quote.url:
        who += [_text("  "), {"type": "link", "url": part.quote.url, "text": _host(part.quote.url)}]
    section = {"type": "rich_text_section", "elements": who}
    return [section, {"type": "rich_text_quote", "elements": [_text(part.quote.text or "-")]}]


def _text(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


def _host(url: str) -> str:
    return shorten(url.partition("://")[2].partition("/")[0], _LINK_TEXT)


def _place(thread: str | None) -> tuple[str, str] | None:
    """Read a receipt: the channel's id and the message's time stamp."""
    channel, _, ts = (thread or "").partition(":")
    return (channel, ts) if channel and ts else None


def _judge(answer: bytes) -> Delivery:
    """Return what an answer of the Web API means: it is a 200 for most failures too."""
    try:
        said = msgspec.json.decode(answer)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return Delivery("in_doubt", "Slack's answer cannot be read")
    if not isinstance(said, dict) or not isinstance(said.get("ok"), bool):
        return Delivery("in_doubt", "Slack's answer cannot be read")
    if said["ok"]:
        channel, ts = said.get("channel"), said.get("ts")
        receipt = f"{channel}:{ts}" if isinstance(channel, str) and isinstance(ts, str) else None
        return Delivery("accepted", "ok", receipt=receipt)
    error = said.get("error")
    error = shorten(error, 80) if isinstance(error, str) and error.strip() else "no reason"
    if error in _AGAIN:
        return Delivery("retry", error)
    return Delivery("in_doubt" if error in _UNKNOWN else "refused", error)
