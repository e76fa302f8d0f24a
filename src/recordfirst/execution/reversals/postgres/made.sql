-- Whether a call has made what a provider knows under this id. By receipt_reference_by_id.
SELECT 1 FROM recordfirst.receipt_reference
WHERE app = %(app)s AND id = %(id)s AND kind NOT IN ('refunded', 'disputed', 'returned')
LIMIT 1
