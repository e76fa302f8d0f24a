-- One row in any case: with a receipt, the caller also needs to know what time it is.
SELECT now_ms, {receipt}
FROM recordfirst_clock
LEFT JOIN recordfirst_receipt ON app = :app AND key = :key AND attempt = :attempt
