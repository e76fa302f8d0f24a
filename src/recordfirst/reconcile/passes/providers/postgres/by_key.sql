-- Receipts of effects, by what a provider has of them.
SELECT {row} FROM unnest(%(key)s::text[], %(attempt)s::integer[]) AS given (key, attempt)
JOIN recordfirst.receipt AS receipt
  ON receipt.app = %(app)s AND receipt.key = given.key AND receipt.attempt = given.attempt AND receipt.kind = 'effect'
