"""What a claim on a call is named."""

from __future__ import annotations

import os

from recordfirst import App
from recordfirst.records.sqlite import SqliteRecord


def test_forked_processes_name_claims_apart(tmp_path):
    """P3: an app that was imported before a server forked its workers: whose call it is, is not mistaken."""
    runtime = App("shop", record=SqliteRecord(tmp_path / "record.db"), workflows=[]).runtime
    ours = {runtime.new_claim() for _ in range(3)}
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.write(writing, "\n".join(runtime.new_claim() for _ in range(3)).encode())
        os._exit(0)
    os.waitpid(pid, 0)
    os.close(writing)
    with os.fdopen(reading) as said:
        theirs = set(said.read().split("\n"))
    assert len(ours) == len(theirs) == 3
    assert ours.isdisjoint(theirs)
    assert runtime.new_claim() not in theirs
