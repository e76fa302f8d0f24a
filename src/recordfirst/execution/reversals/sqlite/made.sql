-- Whose calls have made what a provider knows under this id. By recordfirst_receipt_reference_by_id.
SELECT DISTINCT receipt.function FROM recordfirst_receipt_reference AS reference
JOIN recordfirst_receipt AS receipt
  ON receipt.key = reference.key AND receipt.app = reference.app AND receipt.attempt = reference.attempt
WHERE reference.app = :app AND reference.id = :id AND reference.kind NOT IN ('refunded', 'disputed', 'returned')
