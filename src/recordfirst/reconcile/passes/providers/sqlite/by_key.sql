-- Receipts of effects, by what a provider has of them.
SELECT {row} FROM json_each(:rows)
JOIN recordfirst_receipt AS receipt
  ON receipt.app = :app AND receipt.key = json_extract(value, '$.key')
 AND receipt.attempt = json_extract(value, '$.attempt') AND receipt.kind = 'effect'
