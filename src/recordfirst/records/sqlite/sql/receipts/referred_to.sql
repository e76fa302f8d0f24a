-- The effects that a provider knows under this id. By recordfirst_receipt_reference_by_id.
SELECT DISTINCT key, attempt FROM recordfirst_receipt_reference WHERE app = :app AND id = :id ORDER BY key, attempt
