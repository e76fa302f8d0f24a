-- A page of transfers by what they carry, along the index by time.
SELECT {transfer} FROM recordfirst.ledger_transfer
WHERE app = %(app)s AND timestamp BETWEEN %(timestamp_min)s::bigint AND %(timestamp_max)s::bigint
  AND (%(user_data_128)s::text = '0' OR user_data_128 = %(user_data_128)s::text::numeric)
  AND (%(user_data_64)s::text = '0' OR user_data_64 = %(user_data_64)s::text::numeric)
  AND (%(user_data_32)s::bigint = 0 OR user_data_32 = %(user_data_32)s::bigint)
  AND (%(ledger)s::bigint = 0 OR ledger = %(ledger)s::bigint)
  AND (%(code)s::bigint = 0 OR code = %(code)s::bigint)
ORDER BY timestamp {order}
LIMIT %(limit)s::bigint
