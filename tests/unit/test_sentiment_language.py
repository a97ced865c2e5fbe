import pytest

from monitor.sentiment.language import ByScript, primary, unreadable


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "empty"),
        ("@user http", "no_words"),
        ("!!! 12 %", "no_words"),
        ("ok", None),
        ("angry", None),
        ("лучший отель", "script"),
        ("最悪のホテル", "script"),
        ("the hotel мой", None),
        ("él no sabe", None),
    ],
)
def test_what_cannot_be_read_says_why(text: str, why: str | None) -> None:
    assert unreadable(text) == why


def test_a_source_that_names_a_language_is_believed() -> None:
    said = ByScript().judge(["el vuelo tarde", "late flight", "late flight"], ["es-MX", "en-GB", "und"])
    assert [one.unread for one in said] == ["language", None, None]
    assert [one.lang for one in said] == ["es", "en", None]


def test_tags_are_read_in_every_spelling() -> None:
    assert [primary(tag) for tag in ("EN_us", "pt-BR", "", "zxx", "x")] == ["en", "pt", None, None, "x"]
