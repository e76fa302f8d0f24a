-- What accounts had, transfer by transfer, where that is asked for (the flag history). May be run again without harm.

CREATE TABLE IF NOT EXISTS recordfirst_ledger_balance (
    app             TEXT NOT NULL,
    account_id      TEXT NOT NULL,
    timestamp       INTEGER NOT NULL,
    debits_pending  INTEGER NOT NULL CHECK (debits_pending >= 0),
    debits_posted   INTEGER NOT NULL CHECK (debits_posted >= 0),
    credits_pending INTEGER NOT NULL CHECK (credits_pending >= 0),
    credits_posted  INTEGER NOT NULL CHECK (credits_posted >= 0),
    PRIMARY KEY (account_id, timestamp, app),
    FOREIGN KEY (account_id, app) REFERENCES recordfirst_ledger_account
);

CREATE TRIGGER IF NOT EXISTS recordfirst_ledger_balance_kept BEFORE UPDATE ON recordfirst_ledger_balance
BEGIN
    SELECT RAISE(ABORT, 'what a balance was is never changed');
END;

CREATE TRIGGER IF NOT EXISTS recordfirst_ledger_balance_not_deleted BEFORE DELETE ON recordfirst_ledger_balance
BEGIN
    SELECT RAISE(ABORT, 'what a balance was is never deleted');
END;
