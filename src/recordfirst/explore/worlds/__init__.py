"""The worlds in which a case can run: fast, forked, Postgres or real. ``named.py`` opens one by name."""
