-- What was taken back of what was collected.
DELETE FROM recordfirst.reversal USING recordfirst.receipt
WHERE receipt.app = %(app)s AND receipt.workflow = ANY(%(workflow)s::text[])
  AND reversal.key = receipt.key AND reversal.app = receipt.app AND reversal.attempt = receipt.attempt
