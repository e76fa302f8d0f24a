-- One row in any case: whoever looks for a receipt also needs to know what time it is.
SELECT now_ms, {receipt}
FROM recordfirst_clock
LEFT JOIN recordfirst_receipt ON app = :app AND key = :key AND attempt = :attempt
