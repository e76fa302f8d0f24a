-- An account's columns in the order of the fields of Account; text, since most have more than 64 bits.
id::text, ledger::text, code::text, flags::text, user_data_128::text, user_data_64::text, user_data_32::text,
    debits_pending::text, debits_posted::text, credits_pending::text, credits_posted::text, timestamp::text
