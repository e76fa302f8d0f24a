"""What the fast, the forked and the Postgres world share: processes of this program that die at a point, in a time that
passes when nobody has anything to do.
"""
