-- A file says nothing of where it was copied from.
SELECT NULL
