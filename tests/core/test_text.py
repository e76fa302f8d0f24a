"""Security: no password, token or header in a text that is stored, logged or shown."""

from __future__ import annotations

import pytest

from recordfirst.core.text import masked

SECRET = "c0rrect-horse"


@pytest.mark.parametrize(
    "text",
    [
        f"postgresql://shop:{SECRET}@db/shop",
        f'connection to "postgresql://shop:{SECRET}@db:5432/shop?sslmode=require" failed',
        f"postgres+asyncpg://shop:a@b/{SECRET}@db/shop",
        f"postgresql://db/shop?user=shop&password={SECRET}",
        f"postgresql://db/shop?user=shop&pass%77ord={SECRET}&sslmode=require",
        f"postgresql://db/shop?sslpassword={SECRET}",
        f"host=db user=shop password={SECRET} dbname=shop",
        f"password = '{SECRET} with a \\' quote' user=shop",
        f"PASSWORD='{SECRET}'",
        f"https://shop:{SECRET}@api.example/v1",
        f"https://{SECRET}@api.example/v1",
        f"https://api.example/v1?access_token={SECRET}",
        f"https://api.example/v1?x=1&api_key={SECRET}#top",
        f"Authorization: Bearer {SECRET}",
        f"{{'Authorization': 'Basic {SECRET}=', 'Accept': '*/*'}}",
        f"[(b'authorization', b'Bearer {SECRET}')]",
        f"<CIMultiDict('X-Api-Key': '{SECRET}')>",
        f"Set-Cookie: session={SECRET}; Path=/",
        f"StripeClient(api_key='{SECRET}')",
        f"Client(token={SECRET!r}, timeout=3)",
        f'{{"client_secret": "{SECRET}"}}',
        f"sent Bearer {SECRET}",
    ],
)
def test_a_secret_is_masked_in_each_form(text):
    """The value goes; what surrounds it says still what it is about."""
    assert SECRET not in masked(text)
    assert "***" in masked(text)


@pytest.mark.parametrize("key", ["sk_live_abcdefgh12", "rk_test_abcdefgh12", "whsec_abcdefgh12"])
def test_a_providers_key_is_masked(key):
    """Wherever it stands."""
    assert key not in masked(f"Invalid API Key provided: {key}")


@pytest.mark.parametrize(
    "text",
    [
        "postgresql://shop@db/shop",
        "postgresql:///shop?host=/var/run/postgresql",
        "effect 'order:1:charge' declined: no money (insufficient_funds)",
        "workflow 'a@b:c' failed: ValueError: x=1; at shop.py:3",
        "3 tokens left; a basic understanding; the token was refused",
        "https://api.example/v1/charges?limit=3 answered 503 at 10:30",
        "sqlite:////var/lib/shop.db",
    ],
)
def test_what_is_no_secret_stays(text):
    """P10: an error can still be read."""
    assert masked(text) == text


def test_what_is_known_to_be_secret_is_masked_in_any_form():
    """A password of the record's own, wherever a driver puts it."""
    assert masked(f"bad {SECRET} here", SECRET, "") == "bad *** here"
