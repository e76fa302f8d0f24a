-- The effects that a provider knows under this id. By receipt_reference_by_id.
SELECT DISTINCT key, attempt FROM recordfirst.receipt_reference
WHERE app = %(app)s AND id = %(id)s
ORDER BY key, attempt
