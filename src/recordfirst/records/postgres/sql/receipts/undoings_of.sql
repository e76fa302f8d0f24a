-- The undos that were begun for one workflow, and what each takes back.
SELECT key, attempt, undoes, coalesce(undoes_attempt, attempt)
FROM recordfirst.undoing
WHERE app = %(app)s AND workflow = %(workflow)s
ORDER BY key, attempt
