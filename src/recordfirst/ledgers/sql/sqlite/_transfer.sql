-- A transfer's columns in the order of the fields of Transfer.
id, debit_account_id, credit_account_id, amount, coalesce(pending_id, 0), user_data_128, user_data_64, user_data_32,
timeout, ledger, code, flags, timestamp
