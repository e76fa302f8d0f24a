"""When a cron expression comes next, in UTC, where no hour is left out or comes twice."""

from __future__ import annotations

from datetime import UTC, datetime

try:
    from cronsim import CronSim, CronSimError
except ImportError:  # pragma: no cover - the extra is not installed
    CronSim = None  # type: ignore[assignment,misc]


def next_ms(expression: str, after_ms: int) -> int:
    """Return the first time after ``after_ms`` that the expression names: five fields, or six with seconds first.

    Raises:
        ValueError: if it is no cron expression, names no time, or cronsim is not installed.
    """
    if CronSim is None:
        raise ValueError("schedules on the embedded engine need cronsim: pip install 'recordfirst[cron]'")
    try:
        at = next(CronSim(expression.strip(), datetime.fromtimestamp(after_ms // 1000, UTC)))
    except (CronSimError, StopIteration) as error:
        raise ValueError(f"{expression!r} names no time") from error
    return int(at.timestamp()) * 1000
