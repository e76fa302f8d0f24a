-- Whose calls have made what a provider knows under this id. By receipt_reference_by_id.
SELECT DISTINCT receipt.function FROM recordfirst.receipt_reference AS reference
JOIN recordfirst.receipt AS receipt
  ON receipt.key = reference.key AND receipt.app = reference.app AND receipt.attempt = reference.attempt
WHERE reference.app = %(app)s AND reference.id = %(id)s AND reference.kind NOT IN ('refunded', 'disputed', 'returned')
