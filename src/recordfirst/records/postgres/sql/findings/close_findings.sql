-- Closes what was repaired.
UPDATE recordfirst.finding AS finding
SET closed_at = clock_timestamp(), closed_because = done.because
FROM unnest(%(code)s::text[], %(subject)s::text[], %(because)s::text[]) AS done (code, subject, because)
WHERE finding.app = %(app)s AND finding.closed_at IS NULL AND finding.subject = done.subject AND finding.code = done.code
