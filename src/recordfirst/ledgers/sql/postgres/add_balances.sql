-- What accounts with history had right after each new transfer.
INSERT INTO recordfirst.ledger_balance (
    app, account_id, debits_pending, debits_posted, credits_pending, credits_posted, timestamp
)
SELECT %(app)s, account_id::numeric, debits_pending::numeric, debits_posted::numeric, credits_pending::numeric,
       credits_posted::numeric, timestamp::bigint
FROM unnest(
    %(account_id)s::text[], %(debits_pending)s::text[], %(debits_posted)s::text[], %(credits_pending)s::text[],
    %(credits_posted)s::text[], %(timestamp)s::text[]
) AS new (account_id, debits_pending, debits_posted, credits_pending, credits_posted, timestamp)
