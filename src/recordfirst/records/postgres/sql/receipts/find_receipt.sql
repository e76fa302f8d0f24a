-- One row in any case: with a receipt, the caller also needs to know what time it is.
SELECT floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint, {receipt}
FROM (SELECT) AS always
LEFT JOIN recordfirst.receipt ON app = %(app)s AND key = %(key)s AND attempt = %(attempt)s
