-- Every attempt of one effect.
SELECT {receipt} FROM recordfirst_receipt
WHERE app = :app AND key = :key
ORDER BY attempt
