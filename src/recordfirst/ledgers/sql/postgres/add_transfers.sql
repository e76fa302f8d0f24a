-- New transfers, all of one request, in one statement: a trigger moves the balances once per account.
INSERT INTO recordfirst.ledger_transfer (
    app, id, debit_account_id, credit_account_id, amount, pending_id, user_data_128, user_data_64, user_data_32, timeout,
    ledger, code, flags, timestamp
)
SELECT %(app)s, id::numeric, debit_account_id::numeric, credit_account_id::numeric, amount::numeric,
       nullif(pending_id, '0')::numeric, user_data_128::numeric, user_data_64::numeric, user_data_32::bigint,
       timeout::bigint, ledger::bigint, code::integer, flags::integer, timestamp::bigint
FROM unnest(
    %(id)s::text[], %(debit_account_id)s::text[], %(credit_account_id)s::text[], %(amount)s::text[],
    %(pending_id)s::text[], %(user_data_128)s::text[], %(user_data_64)s::text[], %(user_data_32)s::text[],
    %(timeout)s::text[], %(ledger)s::text[], %(code)s::text[], %(flags)s::text[], %(timestamp)s::text[]
) AS new (
    id, debit_account_id, credit_account_id, amount, pending_id, user_data_128, user_data_64, user_data_32, timeout,
    ledger, code, flags, timestamp
)
