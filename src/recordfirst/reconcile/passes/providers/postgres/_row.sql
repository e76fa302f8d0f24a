-- What is compared of a receipt, in the order of the fields of ReceiptRow.
receipt.key, receipt.attempt, receipt.workflow, receipt.state, receipt.function, receipt.result::text,
floor(extract(epoch FROM receipt.created_at) * 1000)::bigint, floor(extract(epoch FROM receipt.settled_at) * 1000)::bigint,
EXISTS (SELECT 1 FROM recordfirst.reversal AS reversal
        WHERE reversal.key = receipt.key AND reversal.app = receipt.app AND reversal.attempt = receipt.attempt)
