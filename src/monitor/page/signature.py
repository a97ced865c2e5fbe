"""The webhook's signature: HMAC-SHA256 over the time and the body, so that a receiver knows who sent it, and when.

The header is `Monitor-Signature: t=<seconds since the epoch>,v1=<hex>`, with v1 = HMAC-SHA256(secret, t + "." + body).
While a secret is changed there may be several v1, one per secret. HMAC: RFC 2104; the layout is Stripe's.
"""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

HEADER = "Monitor-Signature"
TOLERANCE_S = 300.0
"""Seconds that a receiver's clock may differ, and that a captured request can be played again."""

_MAX_HEADER = 1_000


def sign(body: bytes, secrets: Sequence[str], at: float) -> str:
    """Return the header's value for a body sent at `at` (seconds since the epoch), one v1 for each secret."""
    moment = str(int(at))
    return ",".join([f"t={moment}", *(f"v1={_digest(secret, moment, body)}" for secret in secrets)])


def verify_signature(
    header: str, body: bytes, secrets: Sequence[str], now: float, *, tolerance_s: float = TOLERANCE_S
) -> bool:
    """Return whether a request is from the monitor and not old: for receivers, before they read the body.

    Compares in constant time, and takes the raw body as it came in. A False is a 401, and the body is to be ignored.
    A repeat of a request within the tolerance is valid: drop it by its `Idempotency-Key`.

    Args:
        header: the value of `Monitor-Signature`; anything may stand in it.
        body: the raw bytes of the body.
        secrets: the shared secret, or two while it is changed.
        now: the receiver's clock, seconds since the epoch.
        tolerance_s: how far the request's time may be from it.

    >>> header = sign(b"{}", ["s3cret"], 1000.0)
    >>> verify_signature(header, b"{}", ["s3cret"], 1010.0)
    True
    >>> verify_signature(header, b"{ }", ["s3cret"], 1010.0) or verify_signature(header, b"{}", ["s3cret"], 2000.0)
    False
    """
    if len(header) > _MAX_HEADER or not header.isascii():
        return False
    fields = [part.strip().partition("=") for part in header.split(",")]
    times = [value for name, _, value in fields if name == "t"]
    given = [value for name, _, value in fields if name == "v1"]
    if len(times) != 1 or not times[0].isdigit() or abs(now - int(times[0])) > tolerance_s:
        return False
    valid = False
    for secret in secrets:
        expected = _digest(secret, times[0], body)
        for digest in given:
            valid |= hmac.compare_digest(expected, digest)
    return valid


def _digest(secret: str, moment: str, body: bytes) -> str:
    if not secret:
        raise ValueError("an empty secret signs nothing")
    return hmac.digest(secret.encode(), moment.encode() + b"." + body, "sha256").hex()
