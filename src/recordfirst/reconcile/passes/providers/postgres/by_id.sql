-- Whose receipts refer to what a provider has, by its ids. By receipt_reference_by_id.
SELECT reference.id, reference.key, reference.attempt FROM unnest(%(id)s::text[]) AS given (id)
JOIN recordfirst.receipt_reference AS reference ON reference.id = given.id AND reference.app = %(app)s
