#!/usr/bin/env bash
# A nightly run happens twice on one day of the year, or once, by the library.
#
# Packages: croniter 7.0.0, cronsim 2.8.
# Expected: "30 2 * * *" in Europe/Berlin runs once a day, also on the day on which 02:30 comes twice.
# Seen: croniter gives both, 02:30+02:00 and 02:30+01:00, an hour apart; cronsim gives the first alone. In spring,
# when there is no 02:30, both give 03:00. And "0 0 1 * */2" is the first of a month or every other day of the week to
# croniter, and the firsts that fall on such a day to cronsim.
# Source: croniter, README, on DST and on the day fields; cronsim, README, which follows Debian's cron in both.
# Means: a payout whose key is the time of its run pays twice in October, after a change of library or for ever. Make
# the key of what is paid for, such as the day, and run schedules in UTC.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
pyenv=${PYENV_ROOT:-$HOME/.pyenv}
for python in "${PYTHON:-python3.13}" python3.12 python3.14 "$pyenv"/versions/3.1[2-4].*/bin/python; do
    if "$python" -c 'import sys; sys.exit(sys.version_info < (3, 12))' 2>/dev/null; then break; fi
done
"$python" -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check croniter==7.0.0 cronsim==2.8
"$folder/venv/bin/python" -W ignore - "$folder" <<'PYTHON'
import importlib.metadata
from datetime import datetime
from zoneinfo import ZoneInfo

import croniter
import cronsim


def runs(expression, *start):
    """The first three by each library."""
    begin = datetime(*start, tzinfo=ZoneInfo("Europe/Berlin"))
    by_croniter = croniter.croniter(expression, begin, ret_type=datetime)
    by_cronsim = cronsim.CronSim(expression, begin)
    return [[next_run().isoformat() for _ in range(3)] for next_run in (by_croniter.get_next, by_cronsim.__next__)]


autumn, spring = runs("30 2 * * *", 2026, 10, 24, 12), runs("30 2 * * *", 2026, 3, 28, 12)
either = runs("0 0 1 * */2", 2026, 1, 1, 1)
print("croniter", importlib.metadata.version("croniter"), "cronsim", importlib.metadata.version("cronsim"))
print("expected: the same from both, 2026-10-25 once")
print("seen:     croniter", autumn[0], either[0])
print("          cronsim ", autumn[1], either[1])
assert autumn[0][:2] == ["2026-10-25T02:30:00+02:00", "2026-10-25T02:30:00+01:00"]
assert autumn[1][:2] == ["2026-10-25T02:30:00+02:00", "2026-10-26T02:30:00+01:00"]
assert spring[0] == spring[1] and spring[0][0] == "2026-03-29T03:00:00+02:00"
assert either[0][:2] == ["2026-01-03T00:00:00+01:00", "2026-01-04T00:00:00+01:00"]
assert either[1][:2] == ["2026-02-01T00:00:00+01:00", "2026-03-01T00:00:00+01:00"]
PYTHON
