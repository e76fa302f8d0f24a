"""A worker process of the second scenario."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys

from recordfirst.demo.transfers.shop import build_app
from recordfirst.demo.worker import work_with
from recordfirst.records.open import record_from_url

if __name__ == "__main__":
    logging.getLogger("recordfirst").setLevel(logging.ERROR)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _record, _ledger, _warehouse, _run, _engine = sys.argv[1:6]
    asyncio.run(work_with(build_app(record_from_url(_record), _ledger or None, _warehouse, _run, _engine or None)))
