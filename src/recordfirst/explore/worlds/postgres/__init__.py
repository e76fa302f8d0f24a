"""The Postgres world: a record on a real server. Needs ``pip install 'recordfirst[postgres]'``."""

from recordfirst.explore.worlds.postgres.world import PostgresWorld

__all__ = ["PostgresWorld"]
