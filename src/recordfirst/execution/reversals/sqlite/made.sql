-- Whether a call has made what a provider knows under this id. By recordfirst_receipt_reference_by_id.
SELECT 1 FROM recordfirst_receipt_reference
WHERE app = :app AND id = :id AND kind NOT IN ('refunded', 'disputed', 'returned')
LIMIT 1
