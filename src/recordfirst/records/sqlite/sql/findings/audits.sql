-- The newest, of one subject or of all.
SELECT {audit} FROM recordfirst_audit
WHERE app = :app AND (:subject IS NULL OR subject = :subject)
ORDER BY number DESC
LIMIT :limit
