"""Pages as e-mail: text and HTML with the chart, threaded per incident, over SMTP (RFC 5321, 5322).

The first page of a lane has a Message-ID made from the incident alone, every further one refers to it; each try of a
page has the same Message-ID, so that a mail program may drop the second. SMTP itself cannot tell a repeat: when the
connection ends between the message and its acknowledgement, nobody knows.
"""

from __future__ import annotations

import asyncio
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from hashlib import sha256
from html import escape
from typing import TYPE_CHECKING, Literal

import aiosmtplib
from msgspec import Struct

from monitor.mention.text import shorten
from monitor.page.chart import picture
from monitor.page.compose import MANY, fitted, plain
from monitor.page.facts import moment
from monitor.page.types import Delivery
from monitor.page.voice import Voice

if TYPE_CHECKING:
    from monitor.page.compose import Content
    from monitor.page.types import Page

MAX_SUBJECT = 180
MAX_BODY = 20_000
_TRANSIENT, _PERMANENT = 400, 500
_COLOURS = {"info": "#5b6470", "notify": "#2563a5", "page": "#b45309", "crisis": "#b91c1c"}
_PICTURE = "chart@mention-monitor"


class Server(Struct, frozen=True, kw_only=True):
    """An SMTP server, and how to be let in. `tls`: from the first byte, after STARTTLS, or none."""

    host: str
    port: int = 587
    tls: Literal["starttls", "tls", "none"] = "starttls"
    username: str | None = None
    password: str | None = None


class EmailNotifier:
    """Sends to one address; a connection per page."""

    exactly_once = False

    def __init__(
        self,
        server: Server,
        sender: str,
        to: str,
        *,
        name: str = "email",
        timeout_s: float = 10.0,
        voice: Voice | None = None,
    ) -> None:
        self.name = name
        self._server = server
        self._sender = Address("Mention Monitor", addr_spec=sender)
        self._to = Address(addr_spec=to)
        self._timeout_s = timeout_s
        self._voice = voice or Voice()

    async def send(self, page: Page) -> Delivery:
        """Send once."""
        content = self._voice.content(page)
        message = message_of(page, content, self._sender, self._to).as_bytes(policy=SMTP.clone(max_line_length=200))
        client = self._client()
        try:
            await self._greet(client)
            await client.mail(self._sender.addr_spec)
            await client.rcpt(self._to.addr_spec)
        except aiosmtplib.SMTPException as error:
            client.close()
            return _refusal(error)
        except (OSError, TimeoutError, ValueError) as error:
            client.close()
            return Delivery("retry", f"not connected: {type(error).__name__}")
        return await self._data(client, message)

    async def check(self) -> str | None:
        """Say whether the server can be reached and lets us in."""
        client = self._client()
        try:
            await self._greet(client)
            await client.quit()
        except (aiosmtplib.SMTPException, OSError, TimeoutError, ValueError) as error:
            return f"{self._server.host}:{self._server.port} {_say(error)}"
        finally:
            client.close()
        return None

    async def close(self) -> None:
        """Nothing is held open."""

    def _client(self) -> aiosmtplib.SMTP:
        server = self._server
        return aiosmtplib.SMTP(
            hostname=server.host,
            port=server.port,
            use_tls=server.tls == "tls",
            start_tls=server.tls == "starttls",
            timeout=self._timeout_s,
        )

    async def _greet(self, client: aiosmtplib.SMTP) -> None:
        await client.connect()
        if self._server.username is not None:
            await client.login(self._server.username, self._server.password or "")

    async def _data(self, client: aiosmtplib.SMTP, message: bytes) -> Delivery:
        """Hand the message over: from here on a lost connection is a doubt."""
        try:
            response = await client.data(message)
        except aiosmtplib.SMTPResponseException as error:
            client.close()
            if error.code < _TRANSIENT:
                return Delivery("in_doubt", "the answer to the message cannot be read")
            return _refusal(error)
        except (aiosmtplib.SMTPException, OSError, TimeoutError) as error:
            client.close()
            return Delivery("in_doubt", f"no answer to the message: {type(error).__name__}")
        try:
            async with asyncio.timeout(1.0):
                await client.quit()
        except (aiosmtplib.SMTPException, OSError, TimeoutError):
            client.close()  # it has the message
        return Delivery("accepted", f"SMTP {response.code}")


def message_of(page: Page, content: Content, sender: Address, to: Address) -> EmailMessage:
    """Return the mail. Its headers can hold no line breaks: the e-mail package refuses them, and texts have none."""
    message = EmailMessage(policy=SMTP)
    message["From"] = sender
    message["To"] = to
    message["Subject"] = shorten(content.headline, MAX_SUBJECT)
    message["Date"] = format_datetime(moment(page.created_at))
    domain = sender.domain
    root = f"<{_hash(page.root, page.recipient, page.channel)}@{domain}>"
    alone = page.purpose in MANY or page.purpose == "test"
    if page.sequence <= 1 and not alone:
        message["Message-ID"] = root
    else:
        message["Message-ID"] = f"<{_hash(page.key)}@{domain}>"
        if not alone:
            message["In-Reply-To"] = root
            message["References"] = root
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no holiday answers, please
    message["X-Mention-Monitor-Page"] = sha256(page.key.encode()).hexdigest()
    message["X-Priority"] = "1" if page.severity in {"page", "crisis"} and not content.over else "3"
    message.set_content(plain(content, MAX_BODY), cte="quoted-printable")
    chart = None if content.over else picture(page.facts)
    message.add_alternative(html_of(content, chart=chart is not None), subtype="html", cte="quoted-printable")
    if chart is not None:
        html = message.get_payload()[1]  # type: ignore[index]
        html.add_related(chart, "image", "png", cid=f"<{_PICTURE}>", filename="chart.png")  # type: ignore[union-attr]
    return message


def html_of(content: Content, *, chart: bool) -> str:
    """Return the page as HTML: everything but our own marks is escaped, nothing is fetched from anywhere."""
    colour = _COLOURS.get(content.severity, "#5b6470")
    rows = []
    for part in fitted(content, MAX_BODY).parts:
        text = escape(part.text)
        if part.quote is not None:
            who = escape(part.quote.who)
            if part.quote.url:
                who = f'<a href="{escape(part.quote.url)}" rel="noreferrer">{who}</a>'
            text = f"{who}<br><em>{escape(part.quote.text)}</em>"
        rows.append(
            f'<tr><td style="padding:4px 12px 4px 0;color:#5b6470;vertical-align:top">{escape(part.label)}</td>'
            f'<td style="padding:4px 0" dir="auto">{text}</td></tr>'
        )
    image = f'<p><img src="cid:{_PICTURE}" width="480" height="72" alt="now, forecast, viral line"></p>'
    links = " &nbsp; ".join(
        f'<a href="{escape(link.url)}" style="color:{colour};font-weight:bold">{escape(link.label)}</a>'
        for link in content.links
    )
    return (
        '<!doctype html><html><head><meta charset="utf-8"></head>'
        '<body style="font-family:sans-serif;font-size:15px;color:#111">'
        f'<h2 style="border-left:6px solid {colour};padding-left:10px" dir="auto">{escape(content.headline)}</h2>'
        f"<table>{''.join(rows)}</table>{image if chart else ''}<p>{links}</p></body></html>\n"
    )


def _refusal(error: Exception) -> Delivery:
    """Return what an answer of the server means: 5xx is a refusal, all else may pass."""
    code = getattr(error, "code", None)
    if isinstance(error, aiosmtplib.SMTPRecipientsRefused):
        code = max((one.code for one in error.recipients), default=None)
    refused = isinstance(code, int) and code >= _PERMANENT
    return Delivery("refused" if refused else "retry", _say(error))


def _say(error: Exception) -> str:
    code = getattr(error, "code", None)
    return f"SMTP {code}" if isinstance(code, int) and code > 0 else f"cannot be reached: {type(error).__name__}"


def _hash(*parts: str) -> str:
    return sha256("\0".join(parts).encode()).hexdigest()[:32]
