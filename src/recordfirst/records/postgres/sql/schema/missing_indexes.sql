-- Which of these indexes are not there, or were never built to the end.
SELECT name FROM unnest(%(name)s::text[]) AS wanted (name)
WHERE NOT EXISTS (SELECT FROM pg_index WHERE indexrelid = to_regclass('recordfirst.' || name) AND indisvalid)
