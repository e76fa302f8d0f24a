-- An account's columns in the order of the fields of Account.
id, ledger, code, flags, user_data_128, user_data_64, user_data_32, debits_pending, debits_posted, credits_pending,
credits_posted, timestamp
