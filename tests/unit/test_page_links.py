"""Links: what they allow, for how long, and that none can be made or bent by anybody else."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from monitor.page.links import BadLinkError, Linker
from monitor.page.readers import Reader
from tests.support.receivers import NOW, a_page

LINKER = Linker("https://monitor.example.com/", "a secret of the tests", lasting_s=3600.0)


def tokens(page=None, linker=LINKER):
    return {link.name: link.url.rpartition("/")[2] for link in linker.links(page or a_page(), Reader())}


def test_a_link_allows_what_it_says():
    page = a_page()
    grant = LINKER.read(tokens(page)["ack"], NOW + 60)
    assert (grant.verb, grant.incident, grant.cycle, grant.recipient) == ("ack", page.incident, 1, "ana")
    assert LINKER.links(page, Reader()) == LINKER.links(structs.replace(page, attempts=4, may_be_repeat=True), Reader())
    assert all(link.url.startswith("https://monitor.example.com/link/") for link in LINKER.links(page, Reader()))
    assert all(len(link.url) < 250 for link in LINKER.links(page, Reader()))


def test_each_link_of_each_page_has_a_name_of_its_own():
    page = a_page()
    found = [*tokens(page).values(), *tokens(structs.replace(page, key="other")).values()]
    assert len({LINKER.read(token, NOW).name for token in found}) == 6


def test_a_link_ends():
    token = tokens()["ack"]
    LINKER.read(token, NOW + 3599)
    with pytest.raises(BadLinkError, match="too old"):
        LINKER.read(token, NOW + 3600)


def test_what_is_over_has_no_links():
    page = a_page()
    assert LINKER.links(structs.replace(page, facts=page.facts | {"about": "resolved"}), Reader()) == ()
    assert LINKER.links(structs.replace(page, purpose="digest"), Reader()) == ()


def test_a_link_of_another_secret_is_worthless():
    with pytest.raises(BadLinkError):
        Linker("https://monitor.example.com", "another secret").read(tokens()["ack"], NOW)


def test_a_charts_address_acts_on_nothing():
    url = LINKER.chart(a_page())
    token = url.rpartition("/")[2].removesuffix(".png")
    assert LINKER.read(token, NOW, chart=True).incident == a_page().incident
    with pytest.raises(BadLinkError, match="something else"):
        LINKER.read(token, NOW)
    with pytest.raises(BadLinkError, match="something else"):
        LINKER.read(tokens()["ack"], NOW, chart=True)


@settings(max_examples=200)
@given(st.integers(0, 400), st.characters(codec="utf-8"))
def test_a_link_with_any_other_character_is_refused(place, char):
    token = tokens()["ack"]
    place %= len(token)
    bent = token[:place] + char + token[place + 1 :]
    if bent == token:
        assert LINKER.read(bent, NOW)
    else:
        with pytest.raises(BadLinkError):
            LINKER.read(bent, NOW)


@given(st.text(max_size=300))
def test_any_text_is_refused(text):
    with pytest.raises(BadLinkError):
        LINKER.read(text, NOW)
