"""The webhook's signature: what a receiver can rely on."""

import hashlib
import hmac
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.page import sign, verify_signature

BODY = b'{"a": 1}'
NOW = 1_900_000_000.0


def test_it_is_the_hmac_of_time_dot_body():
    digest = hmac.new(b"s3cret", b"1900000000." + BODY, hashlib.sha256).hexdigest()
    assert sign(BODY, ["s3cret"], NOW + 0.9) == f"t=1900000000,v1={digest}"


@pytest.mark.parametrize("late", [-301, 301])
def test_an_old_or_future_request_is_refused(late):
    assert not verify_signature(sign(BODY, ["s3cret"], NOW), BODY, ["s3cret"], NOW + late)


def test_while_the_secret_is_changed_both_are_good():
    header = sign(BODY, ["new", "old"], NOW)
    assert verify_signature(header, BODY, ["old"], NOW)
    assert verify_signature(header, BODY, ["new"], NOW)
    assert verify_signature(sign(BODY, ["old"], NOW), BODY, ["new", "old"], NOW)
    assert not verify_signature(header, BODY, ["other"], NOW)


def test_an_empty_secret_is_no_secret():
    with pytest.raises(ValueError, match="empty secret"):
        sign(BODY, [""], NOW)


@pytest.mark.parametrize(
    "header", ["", "t=1", "v1=aa", "t=1900000000", "t=x,v1=aa", "t=1900000000,t=1900000000,v1=aa", "é", "t=²,v1=a"]
)
def test_a_bent_header_is_no_signature(header):
    assert not verify_signature(header, BODY, ["s3cret"], NOW)


@given(st.text(max_size=200), st.binary(max_size=50))
def test_whatever_stands_in_the_header_nothing_breaks_and_nothing_passes(header, body):
    assert not verify_signature(header, body, ["s3cret"], NOW)


def test_the_receiver_in_the_documentation_works():
    text = (Path(__file__).parents[2] / "docs" / "pages.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    scope = {}
    exec(code, scope)  # noqa: S102 -- our own documentation
    headers = {"Monitor-Signature": sign(BODY, ["the shared secret"], NOW), "Idempotency-Key": "k"}
    seen = set()
    assert [scope["receive"](headers, BODY, NOW, seen) for _ in range(2)] == [204, 409]
    assert scope["receive"](headers, BODY + b" ", NOW, seen) == 401
