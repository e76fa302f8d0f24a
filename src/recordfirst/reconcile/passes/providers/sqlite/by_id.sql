-- Whose receipts refer to what a provider has, by its ids. By recordfirst_receipt_reference_by_id.
SELECT reference.id, reference.key, reference.attempt FROM json_each(:rows)
JOIN recordfirst_receipt_reference AS reference ON reference.id = json_extract(value, '$.id') AND reference.app = :app
