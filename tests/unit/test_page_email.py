"""E-mail to a real SMTP server: what it says, threads, line breaks, and what a server's behaviour means."""
# ruff: noqa: ARG002, N802 -- aiosmtpd's names and arguments

import asyncio
import email
from contextlib import asynccontextmanager
from email.policy import default

import aiosmtpd.smtp
import pytest
from msgspec import structs

from monitor.page.channels.email import EmailNotifier, Server
from monitor.page.links import Linker
from monitor.page.readers import Reader, Readers
from monitor.page.voice import Voice
from tests.support.receivers import LATE_S, a_page

LINKER = Linker("https://monitor.example.com", "a secret of the tests")


class Box:
    """Keeps the mails; `answer` is what it says to each."""

    def __init__(self, answer="250 OK"):
        self.mails, self.answer = [], answer

    async def handle_RCPT(self, server, session, envelope, address, options):
        if address.startswith("nobody"):
            return "550 no such user"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        self.mails.append(email.message_from_bytes(envelope.original_content, policy=default))
        return self.answer


@asynccontextmanager
async def post_office(box):
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: aiosmtpd.smtp.SMTP(box, enable_SMTPUTF8=True), "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


def notifier(port, to="ana@example.org", reader=None, **server):
    voice = Voice(Readers({"ana": reader or Reader()}), LINKER)
    where = Server(host="127.0.0.1", port=port, tls="none", **server)
    return EmailNotifier(where, "monitor@example.com", to, timeout_s=LATE_S * 3, voice=voice)


async def mailed(*pages, box=None, **more):
    box = box or Box()
    async with post_office(box) as port:
        deliveries = [await notifier(port, **more).send(page) for page in pages]
    return deliveries, box.mails


def parts(mail):
    return {part.get_content_type(): part for part in mail.walk() if not part.is_multipart()}


async def test_a_mail_says_it_all_as_text_and_as_html_with_the_chart():
    (delivery,), (mail,) = await mailed(a_page())
    assert (delivery.outcome, delivery.detail) == ("accepted", "SMTP 250")
    assert mail["To"] == "ana@example.org"
    assert mail["Subject"].startswith("PAGE aurora-grand-lisbon: Left outside")
    assert mail["Auto-Submitted"] == "auto-generated"
    found = parts(mail)
    text, html = found["text/plain"].get_content(), found["text/html"].get_content()
    for said in ("38 people in 40 min", "They gave our room away", "ends near 640 people", "Acknowledge"):
        assert said in text
        assert said in html
    assert "https://monitor.example.com/link/" in text
    assert found["image/png"].get_content().startswith(b"\x89PNG")
    assert f"cid:{found['image/png']['Content-ID'].strip('<>')}" in html


async def test_mails_about_one_incident_are_one_thread_and_each_try_has_the_same_id():
    first = a_page()
    later = structs.replace(first, key="i:1:deadline", purpose="deadline", sequence=2)
    cycle = structs.replace(
        first, key="i:2:reopened", sequence=3, facts=first.facts | {"incident": first.facts["incident"] | {"cycle": 2}}
    )
    _, (one, again, two, three) = await mailed(first, structs.replace(first, attempts=2), later, cycle)
    assert one["Message-ID"] == again["Message-ID"]
    assert two["In-Reply-To"] == two["References"] == one["Message-ID"]
    assert two["Message-ID"] != one["Message-ID"]
    assert three["References"] != one["Message-ID"]


async def test_hostile_words_become_neither_headers_nor_html_nor_commands():
    _, (mail,) = await mailed(a_page(hostile=True))
    assert mail["Bcc"] is None
    assert mail.defects == []
    assert "\n" not in mail["Subject"]
    found = parts(mail)
    html = found["text/html"].get_content()
    assert "<script" not in html
    assert "<b>" not in html
    assert "&lt;script&gt;" in html
    assert "QUIT" in found["text/plain"].get_content(), "it was said, and did nothing"
    urls = [piece.split('"')[0] for piece in html.split('href="')[1:]]
    assert all(url.startswith(("https://example.org/", "https://monitor.example.com/link/")) for url in urls)


async def test_a_manager_in_germany_reads_german_and_their_own_clock():
    reader = Reader(role="manager", language="de", zone="Europe/Berlin")
    _, (mail,) = await mailed(a_page(), reader=reader)
    text = parts(mail)["text/plain"].get_content()
    assert mail["Subject"].startswith("ALARM aurora-grand-lisbon")
    for said in ("Zu tun: Klären", "noch niemand", "84.000 Follower), 18:46", "Bestätigen: https://"):
        assert said in text


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [("451 try later", "retry"), ("452 full", "retry"), ("554 no thanks", "refused"), ("250 OK", "accepted")],
)
async def test_what_the_server_says_to_the_message(answer, outcome):
    (delivery,), _ = await mailed(a_page(), box=Box(answer))
    assert delivery.outcome == outcome


async def test_an_unknown_recipient_is_refused():
    (delivery,), mails = await mailed(a_page(), to="nobody@example.org")
    assert (delivery.outcome, delivery.detail, mails) == ("refused", "SMTP 550", [])


@asynccontextmanager
async def rude(*lines, hang=False, after_message=False):
    """Serve SMTP until these lines are used up; then close or hang."""

    async def serve(reader, writer):
        try:
            for line in lines:
                writer.write(line + b"\r\n")
                await writer.drain()
                while True:
                    got = await reader.readline()
                    if not got or not after_message or not line.startswith(b"354") or got == b".\r\n":
                        break
            if hang:
                await asyncio.sleep(5)
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


HELLO = (b"220 hi", b"250 hello", b"250 sender", b"250 recipient")


@pytest.mark.parametrize(
    ("lines", "hang", "outcome"),
    [
        ((), False, "retry"),
        ((b"garbage \xff",), False, "retry"),
        ((), True, "retry"),
        ((b"554 go away",), False, "refused"),
        ((b"421 busy",), False, "retry"),
        (HELLO, False, "in_doubt"),
        ((*HELLO, b"354 go on"), False, "in_doubt"),
        ((*HELLO, b"354 go on"), True, "in_doubt"),
        ((*HELLO, b"354 go on", b"what?"), False, "in_doubt"),
    ],
)
async def test_a_rude_server(lines, hang, outcome):
    async with rude(*lines, hang=hang, after_message=True) as port:
        delivery = await notifier(port).send(a_page())
    assert delivery.outcome == outcome, delivery


async def test_the_doctor_looks_at_the_server():
    async with post_office(Box()) as port:
        assert await notifier(port).check() is None
    assert "cannot be reached" in await notifier(1).check()
