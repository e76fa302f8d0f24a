-- What is compared of a receipt, in the order of the fields of ReceiptRow.
receipt.key, receipt.attempt, receipt.workflow, receipt.state, receipt.function, receipt.result, receipt.created_at_ms,
receipt.settled_at_ms,
EXISTS (SELECT 1 FROM recordfirst_reversal AS reversal
        WHERE reversal.key = receipt.key AND reversal.app = receipt.app AND reversal.attempt = receipt.attempt)
