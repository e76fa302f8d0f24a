-- Sent by the server when the transaction commits, and not at all if it does not.
SELECT pg_notify(%(channel)s, '')
