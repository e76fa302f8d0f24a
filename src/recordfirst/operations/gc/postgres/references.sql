-- Under which names providers know what was collected.
DELETE FROM recordfirst.receipt_reference USING recordfirst.receipt
WHERE receipt.app = %(app)s AND receipt.workflow = ANY(%(workflow)s::text[])
  AND receipt_reference.key = receipt.key AND receipt_reference.app = receipt.app
  AND receipt_reference.attempt = receipt.attempt
