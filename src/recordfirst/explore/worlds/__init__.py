"""Where a case is run: in the fast, the forked, the Postgres or the real world; ``named.py`` opens one by name."""
