"""TigerBeetle as the ledger. Needs ``recordfirst[tigerbeetle]``."""

try:
    from recordfirst.ledgers.tigerbeetle.client import TigerBeetle
except ModuleNotFoundError as error:  # pragma: no cover - only where the extra is missing
    if error.name != "tigerbeetle":
        raise
    raise ModuleNotFoundError(
        "TigerBeetle needs the package tigerbeetle: pip install 'recordfirst[tigerbeetle]'", name="tigerbeetle"
    ) from error

__all__ = ["TigerBeetle"]
