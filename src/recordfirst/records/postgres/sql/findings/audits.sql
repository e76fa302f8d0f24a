-- The newest, of one subject or of all.
SELECT {audit} FROM recordfirst.audit
WHERE app = %(app)s AND (%(subject)s::text IS NULL OR subject = %(subject)s)
ORDER BY number DESC
LIMIT %(limit)s
