-- What accounts had, transfer by transfer, where that is asked for (the flag history). May be run again without harm.

CREATE TABLE IF NOT EXISTS recordfirst.ledger_balance (
    app             text COLLATE "C" NOT NULL,
    account_id      numeric(39, 0) NOT NULL,
    timestamp       bigint NOT NULL,
    debits_pending  numeric(39, 0) NOT NULL CHECK (debits_pending >= 0),
    debits_posted   numeric(39, 0) NOT NULL CHECK (debits_posted >= 0),
    credits_pending numeric(39, 0) NOT NULL CHECK (credits_pending >= 0),
    credits_posted  numeric(39, 0) NOT NULL CHECK (credits_posted >= 0),
    PRIMARY KEY (account_id, timestamp, app),
    FOREIGN KEY (account_id, app) REFERENCES recordfirst.ledger_account
);

CREATE OR REPLACE TRIGGER ledger_balance_kept BEFORE UPDATE OR DELETE ON recordfirst.ledger_balance
    FOR EACH ROW EXECUTE FUNCTION recordfirst.ledger_refuse('what a balance was is never changed');
