-- Double entry, with TigerBeetle's vocabulary. May be run again without harm, by recordfirst or by the sqlite3 shell.
-- The database itself holds what makes it a ledger: transfers move both sides at once and by the same amount; a limit
-- on an account is a CHECK; a pending transfer is settled once; no transfer is ever changed.
-- Ids have up to 128 bits, so they are text; amounts are integers of SQLite's, 63 bits. timestamp is nanoseconds since
-- 1970, unique in each app.

-- When the newest transfer or account was made.
CREATE TABLE IF NOT EXISTS recordfirst_ledger_clock (
    app       TEXT NOT NULL PRIMARY KEY,
    timestamp INTEGER NOT NULL
);

CREATE TABLE IF NOT EXISTS recordfirst_ledger_account (
    app             TEXT NOT NULL,
    id              TEXT NOT NULL CHECK (id <> '0' AND typeof(id) = 'text'),
    ledger          INTEGER NOT NULL CHECK (ledger > 0),
    code            INTEGER NOT NULL CHECK (code > 0),
    flags           INTEGER NOT NULL CHECK (flags & 6 <> 6),
    user_data_128   TEXT NOT NULL,
    user_data_64    TEXT NOT NULL,
    user_data_32    INTEGER NOT NULL,
    debits_pending  INTEGER NOT NULL DEFAULT 0 CHECK (debits_pending >= 0 AND typeof(debits_pending) = 'integer'),
    debits_posted   INTEGER NOT NULL DEFAULT 0 CHECK (debits_posted >= 0 AND typeof(debits_posted) = 'integer'),
    credits_pending INTEGER NOT NULL DEFAULT 0 CHECK (credits_pending >= 0 AND typeof(credits_pending) = 'integer'),
    credits_posted  INTEGER NOT NULL DEFAULT 0 CHECK (credits_posted >= 0 AND typeof(credits_posted) = 'integer'),
    timestamp       INTEGER NOT NULL,
    PRIMARY KEY (id, app),
    CHECK (flags & 2 = 0 OR debits_pending + debits_posted <= credits_posted),
    CHECK (flags & 4 = 0 OR credits_pending + credits_posted <= debits_posted)
);

CREATE UNIQUE INDEX IF NOT EXISTS recordfirst_ledger_account_by_time ON recordfirst_ledger_account (timestamp, app);

CREATE TABLE IF NOT EXISTS recordfirst_ledger_transfer (
    app               TEXT NOT NULL,
    id                TEXT NOT NULL CHECK (id <> '0' AND typeof(id) = 'text'),
    debit_account_id  TEXT NOT NULL,
    credit_account_id TEXT NOT NULL CHECK (credit_account_id <> debit_account_id),
    amount            INTEGER NOT NULL CHECK (amount >= 0 AND typeof(amount) = 'integer'),
    pending_id        TEXT,
    user_data_128     TEXT NOT NULL,
    user_data_64      TEXT NOT NULL,
    user_data_32      INTEGER NOT NULL,
    timeout           INTEGER NOT NULL CHECK (timeout = 0 OR flags & 2 <> 0),
    ledger            INTEGER NOT NULL CHECK (ledger > 0),
    code              INTEGER NOT NULL CHECK (code > 0),
    flags             INTEGER NOT NULL CHECK ((flags & 12 <> 0) = (pending_id IS NOT NULL)),
    timestamp         INTEGER NOT NULL,
    PRIMARY KEY (id, app),
    FOREIGN KEY (debit_account_id, app) REFERENCES recordfirst_ledger_account,
    FOREIGN KEY (credit_account_id, app) REFERENCES recordfirst_ledger_account,
    FOREIGN KEY (pending_id, app) REFERENCES recordfirst_ledger_transfer
);

CREATE UNIQUE INDEX IF NOT EXISTS recordfirst_ledger_transfer_by_time ON recordfirst_ledger_transfer (timestamp, app);
CREATE INDEX IF NOT EXISTS recordfirst_ledger_transfer_by_debit
    ON recordfirst_ledger_transfer (debit_account_id, app, timestamp);
CREATE INDEX IF NOT EXISTS recordfirst_ledger_transfer_by_credit
    ON recordfirst_ledger_transfer (credit_account_id, app, timestamp);

-- From a business key to what was transferred for it.
CREATE INDEX IF NOT EXISTS recordfirst_ledger_transfer_by_user_data
    ON recordfirst_ledger_transfer (user_data_128, app, timestamp) WHERE user_data_128 <> '0';

-- A pending transfer is settled at most once, whatever else goes wrong.
CREATE UNIQUE INDEX IF NOT EXISTS recordfirst_ledger_transfer_settles ON recordfirst_ledger_transfer (pending_id, app)
    WHERE pending_id IS NOT NULL;

-- What became of each pending transfer. expires_at is nanoseconds since 1970.
CREATE TABLE IF NOT EXISTS recordfirst_ledger_pending (
    app        TEXT NOT NULL,
    id         TEXT NOT NULL,
    status     TEXT NOT NULL CHECK (status IN ('pending', 'posted', 'voided', 'expired')),
    expires_at INTEGER,
    PRIMARY KEY (id, app),
    FOREIGN KEY (id, app) REFERENCES recordfirst_ledger_transfer
);

CREATE INDEX IF NOT EXISTS recordfirst_ledger_pending_due ON recordfirst_ledger_pending (expires_at, app)
    WHERE status = 'pending' AND expires_at IS NOT NULL;

-- Ids that were refused for a reason that may pass. They stay refused; the reason is the first one.
CREATE TABLE IF NOT EXISTS recordfirst_ledger_refusal (
    app       TEXT NOT NULL,
    id        TEXT NOT NULL,
    status    TEXT NOT NULL,
    timestamp INTEGER NOT NULL,
    PRIMARY KEY (id, app)
);

-- Both sides of every transfer, and what it settles, in the statement that stores it.
CREATE TRIGGER IF NOT EXISTS recordfirst_ledger_transfer_moves AFTER INSERT ON recordfirst_ledger_transfer
WHEN NEW.pending_id IS NULL
BEGIN
    INSERT INTO recordfirst_ledger_pending (app, id, status, expires_at)
    SELECT NEW.app, NEW.id, 'pending', CASE WHEN NEW.timeout > 0 THEN NEW.timestamp + NEW.timeout * 1000000000 END
    WHERE NEW.flags & 2 <> 0;
    UPDATE recordfirst_ledger_account
    SET debits_pending = debits_pending + CASE WHEN NEW.flags & 2 <> 0 THEN NEW.amount ELSE 0 END,
        debits_posted = debits_posted + CASE WHEN NEW.flags & 2 <> 0 THEN 0 ELSE NEW.amount END
    WHERE id = NEW.debit_account_id AND app = NEW.app;
    UPDATE recordfirst_ledger_account
    SET credits_pending = credits_pending + CASE WHEN NEW.flags & 2 <> 0 THEN NEW.amount ELSE 0 END,
        credits_posted = credits_posted + CASE WHEN NEW.flags & 2 <> 0 THEN 0 ELSE NEW.amount END
    WHERE id = NEW.credit_account_id AND app = NEW.app;
END;

CREATE TRIGGER IF NOT EXISTS recordfirst_ledger_transfer_settling AFTER INSERT ON recordfirst_ledger_transfer
WHEN NEW.pending_id IS NOT NULL
BEGIN
    SELECT RAISE(ABORT, 'a transfer settles what is not pending')
    WHERE NOT EXISTS (
        SELECT 1 FROM recordfirst_ledger_pending WHERE id = NEW.pending_id AND app = NEW.app AND status = 'pending'
    );
    UPDATE recordfirst_ledger_pending SET status = CASE WHEN NEW.flags & 4 <> 0 THEN 'posted' ELSE 'voided' END
    WHERE id = NEW.pending_id AND app = NEW.app;
    UPDATE recordfirst_ledger_account
    SET debits_pending = debits_pending
            - (SELECT amount FROM recordfirst_ledger_transfer WHERE id = NEW.pending_id AND app = NEW.app),
        debits_posted = debits_posted + CASE WHEN NEW.flags & 4 <> 0 THEN NEW.amount ELSE 0 END
    WHERE id = NEW.debit_account_id AND app = NEW.app;
    UPDATE recordfirst_ledger_account
    SET credits_pending = credits_pending
            - (SELECT amount FROM recordfirst_ledger_transfer WHERE id = NEW.pending_id AND app = NEW.app),
        credits_posted = credits_posted + CASE WHEN NEW.flags & 4 <> 0 THEN NEW.amount ELSE 0 END
    WHERE id = NEW.credit_account_id AND app = NEW.app;
END;

-- What was pending and has expired is free again, on both sides.
CREATE TRIGGER IF NOT EXISTS recordfirst_ledger_pending_expires AFTER UPDATE OF status ON recordfirst_ledger_pending
WHEN NEW.status = 'expired'
BEGIN
    UPDATE recordfirst_ledger_account
    SET debits_pending = debits_pending
        - (SELECT amount FROM recordfirst_ledger_transfer WHERE id = NEW.id AND app = NEW.app)
    WHERE app = NEW.app
      AND id = (SELECT debit_account_id FROM recordfirst_ledger_transfer WHERE id = NEW.id AND app = NEW.app);
    UPDATE recordfirst_ledger_account
    SET credits_pending = credits_pending
        - (SELECT amount FROM recordfirst_ledger_transfer WHERE id = NEW.id AND app = NEW.app)
    WHERE app = NEW.app
      AND id = (SELECT credit_account_id FROM recordfirst_ledger_transfer WHERE id = NEW.id AND app = NEW.app);
END;

-- What nobody may do, by whatever way they come.
CREATE TRIGGER IF NOT EXISTS recordfirst_ledger_transfer_unchanged BEFORE UPDATE ON recordfirst_ledger_transfer
BEGIN
    SELECT RAISE(ABORT, 'a transfer is never changed; another one takes it back');
END;

CREATE TRIGGER IF NOT EXISTS recordfirst_ledger_transfer_kept BEFORE DELETE ON recordfirst_ledger_transfer
BEGIN
    SELECT RAISE(ABORT, 'a transfer is never changed; another one takes it back');
END;

CREATE TRIGGER IF NOT EXISTS recordfirst_ledger_account_opened BEFORE INSERT ON recordfirst_ledger_account
WHEN NEW.debits_pending + NEW.debits_posted + NEW.credits_pending + NEW.credits_posted <> 0
BEGIN
    SELECT RAISE(ABORT, 'a new account has no balance; transfers make it');
END;

CREATE TRIGGER IF NOT EXISTS recordfirst_ledger_pending_kept BEFORE UPDATE ON recordfirst_ledger_pending
WHEN OLD.status <> 'pending'
BEGIN
    SELECT RAISE(ABORT, 'what is pending is settled once, by a transfer or by its timeout');
END;
