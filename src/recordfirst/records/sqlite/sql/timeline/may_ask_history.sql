-- A file says nothing of its history.
SELECT false
