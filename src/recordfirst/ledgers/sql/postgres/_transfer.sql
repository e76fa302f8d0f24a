-- A transfer's columns in the order of the fields of Transfer.
id::text, debit_account_id::text, credit_account_id::text, amount::text, coalesce(pending_id, 0)::text, user_data_128::text,
    user_data_64::text, user_data_32::text, timeout::text, ledger::text, code::text, flags::text, timestamp::text
