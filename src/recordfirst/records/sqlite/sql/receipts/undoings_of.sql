-- The undos that were begun for one workflow, and what each takes back.
SELECT key, attempt, undoes, coalesce(undoes_attempt, attempt)
FROM recordfirst_undoing
WHERE app = :app AND workflow = :workflow
ORDER BY key, attempt
