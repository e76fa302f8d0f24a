"""What the fast, the forked and the Postgres world share: processes of this program that die at a point, and a time
that passes only when no process has anything to do.
"""
