-- New accounts, all of one request.
INSERT INTO recordfirst.ledger_account (
    app, id, ledger, code, flags, user_data_128, user_data_64, user_data_32, timestamp
)
SELECT %(app)s, id::numeric, ledger::bigint, code::integer, flags::integer, user_data_128::numeric,
       user_data_64::numeric, user_data_32::bigint, timestamp::bigint
FROM unnest(
    %(id)s::text[], %(ledger)s::text[], %(code)s::text[], %(flags)s::text[], %(user_data_128)s::text[],
    %(user_data_64)s::text[], %(user_data_32)s::text[], %(timestamp)s::text[]
) AS new (id, ledger, code, flags, user_data_128, user_data_64, user_data_32, timestamp)
