"""The client closes what it opened, and says what is wrong with its arguments."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys

import pytest

from recordfirst.providers.stripe import stripe_client


async def test_closes_its_connections(open_shop):
    """P9: no session outlives its block, used or not; a warning would be an error here."""
    async with open_shop() as shop:
        await asyncio.gather(*[shop.pay(f"k{n}") for n in range(10)])
        async with stripe_client("sk_test_x", base_url=shop.sim.url + "/"):
            pass
    gc.collect()


@pytest.mark.parametrize("wrong", [{"timeout_s": 0}, {"connect_timeout_s": -1}])
async def test_time_outs_are_positive(wrong):
    """P8: no time-out at all would hold a lease for ever."""
    with pytest.raises(ValueError, match="positive"):
        async with stripe_client("sk_test_x", **wrong):
            pass


def test_missing_extra_is_named():
    """P10: without the package, the error says what to install."""
    code = "import sys; sys.modules['stripe'] = None; import recordfirst.providers.stripe"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=30)
    assert "pip install 'recordfirst[stripe]'" in ended.stderr
