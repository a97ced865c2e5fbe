# ruff: noqa: RUF001 -- letters that look alike are what is tested
import time
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from monitor.mention.text import fold, normalise, printable, safe, shorten

ANY = st.text(st.characters(exclude_categories=()), max_size=200)
HARD = st.text(
    st.sampled_from("aA'é\u0301\u0323\u200d\u200b\u202e\x1b[31m]\x07\ud800 @:rt./&#;ßﬁǰ\u0345İ👩🇩🇪\ufe0f"), max_size=60
)


@given(ANY | HARD)
@example("\u0344\u0301" * 30)
def test_normalise_is_stable_and_has_only_words(text):
    words = normalise(text)
    assert normalise(words) == words
    assert words == " ".join(words.split())
    assert all(unicodedata.category(char)[0] in "LNM" or char == " " for char in words)


@given(ANY | HARD)
def test_fold_is_stable(text):
    assert fold(fold(text)) == fold(text)


@given(ANY | HARD)
def test_printable_is_one_harmless_line(text):
    shown = printable(text)
    shown.encode()
    assert printable(shown) == shown
    assert "\x1b" not in shown
    assert all(unicodedata.category(char) not in ("Cc", "Cs", "Zl", "Zp") for char in shown)
    assert not set(shown) & set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200b\u200e\u200f\ufeff\u061c")


@given(ANY | HARD, st.integers(1, 50))
def test_shorten_keeps_to_its_length(text, n):
    assert len(shorten(text, n)) <= n
    assert len(safe(text, n)) <= n


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Lost my bag AGAIN", "lost my bag, again!!!"),
        ("RT @a_b: lost my bag", "lost my bag"),
        ("RT @a: RT @b.example.social: lost my bag", "lost my bag https://t.co/abc"),
        ("lost my bag (via @someone@host.example)", "lost my bag"),
        ("I can't &amp; won't", "i can’t won’t"),
        ("noooooo way", "nooo way"),
        ("ﬁne print", "fine print"),
        ("𝗹𝗼𝘀𝘁 my bag", "lost my bag"),
        ("lo\u200bst my b\u00adag", "lost my bag"),
    ],
)
def test_texts_that_say_the_same(one, other):
    assert normalise(one) == normalise(other) != ""


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("I paid 1000", "I paid 10000"),
        ("bad flight", "bad fight"),
        ("मेरा बैग खो गया", "मेरी बैग खो गया"),
        ("到着が遅い", "到着が早い"),
    ],
)
def test_texts_that_do_not(one, other):
    assert normalise(one) != normalise(other)


@pytest.mark.parametrize("text", ["😡😡😡", "@meridianair", "https://example.org", "...", ""])
def test_no_words_is_empty(text):
    assert normalise(text) == ""


def test_a_mail_address_is_no_handle():
    assert normalise("write to help@example.org") == "write to help example org"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b]0;owned\x07title", "title"),
        ("\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x9b31mred", "red"),
        ("\x1b\x1b[31mx", "x"),
        ("a\x1b]0;no end", "a]0;no end"),
        ("a\r\nERROR forged", "a ERROR forged"),
        ("a\u2028b", "a b"),
        ("pay\u202egnp.exe", "paygnp.exe"),
        ("a\u200b\u200b\u2060b", "ab"),
        ("a" + "\u200d" * 500 + "b", "ab"),
        ("👩\u200d🚀", "👩\u200d🚀"),
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("half \ud83d", "half \ufffd"),
        ("nul\0", "nul"),
        ("e" + "\u0301" * 90, "e" + "\u0301" * 4),
        ("x\u3164\u2800y", "x y"),
        ("\U000e0041hidden", "hidden"),
    ],
)
def test_printable(text, shown):
    assert printable(text) == shown


@pytest.mark.parametrize(
    ("text", "n", "short"),
    [
        ("short", 5, "short"),
        ("one two three", 8, "one two…"),
        ("incomprehensibilities", 6, "incom…"),
        ("a 👩🏽\u200d🚀👩🏽\u200d🚀x", 9, "a 👩🏽\u200d🚀…"),
        ("🇩🇪🇫🇷🇮🇹🇪🇸", 4, "🇩🇪…"),
        ("abcde\u0301\u0302fgh", 7, "abcd…"),
        ("ab", 1, "…"),
    ],
)
def test_shorten(text, n, short):
    assert shorten(text, n) == short


def test_shorten_to_nothing_is_refused():
    with pytest.raises(ValueError, match="1 character or more"):
        shorten("text", 0)


HOSTILE = {
    "marks": "a" + "\u0301\u0323" * 50_000,
    "blanks": "rt" + " " * 100_000,
    "prefixes": "rt :" * 25_000,
    "handles": "@a." * 33_000,
    "strings": "\x1b]" * 50_000,
    "numbers": "\x1b[" + "1" * 100_000,
    "letters": "a" * 100_000,
    "joiners": "\u200d" * 100_000,
    "entities": "&#" * 50_000,
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_time_is_linear_in_hostile_text(text):
    start = time.process_time()
    normalise(text)
    printable(text)
    assert time.process_time() - start < 1.5
