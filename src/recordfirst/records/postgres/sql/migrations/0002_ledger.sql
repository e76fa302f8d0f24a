-- Double entry, with TigerBeetle's vocabulary. May be run again without harm, by recordfirst or by psql.
-- The database itself holds what makes it a ledger: balances move only by transfers, on both sides at once and by the
-- same amount; a limit on an account is a CHECK; a pending transfer is settled once; no transfer is ever changed.
-- Ids and amounts have up to 128 bits, so they are numeric. timestamp is nanoseconds since 1970, unique in each app.

-- When the newest transfer or account was made. Whoever makes one locks this row first: one request at a time.
CREATE TABLE IF NOT EXISTS recordfirst.ledger_clock (
    app       text COLLATE "C" NOT NULL PRIMARY KEY,
    timestamp bigint NOT NULL
);

CREATE TABLE IF NOT EXISTS recordfirst.ledger_account (
    app             text COLLATE "C" NOT NULL,
    id              numeric(39, 0) NOT NULL CHECK (id > 0 AND id < 340282366920938463463374607431768211455),
    ledger          bigint NOT NULL CHECK (ledger > 0),
    code            integer NOT NULL CHECK (code > 0),
    flags           integer NOT NULL CHECK (flags & 6 <> 6),
    user_data_128   numeric(39, 0) NOT NULL,
    user_data_64    numeric(20, 0) NOT NULL,
    user_data_32    bigint NOT NULL,
    debits_pending  numeric(39, 0) NOT NULL DEFAULT 0 CHECK (debits_pending >= 0),
    debits_posted   numeric(39, 0) NOT NULL DEFAULT 0 CHECK (debits_posted >= 0),
    credits_pending numeric(39, 0) NOT NULL DEFAULT 0 CHECK (credits_pending >= 0),
    credits_posted  numeric(39, 0) NOT NULL DEFAULT 0 CHECK (credits_posted >= 0),
    timestamp       bigint NOT NULL,
    PRIMARY KEY (id, app),
    CHECK (flags & 2 = 0 OR debits_pending + debits_posted <= credits_posted),
    CHECK (flags & 4 = 0 OR credits_pending + credits_posted <= debits_posted)
);

CREATE UNIQUE INDEX IF NOT EXISTS ledger_account_by_time ON recordfirst.ledger_account (timestamp, app);

CREATE TABLE IF NOT EXISTS recordfirst.ledger_transfer (
    app               text COLLATE "C" NOT NULL,
    id                numeric(39, 0) NOT NULL CHECK (id > 0 AND id < 340282366920938463463374607431768211455),
    debit_account_id  numeric(39, 0) NOT NULL,
    credit_account_id numeric(39, 0) NOT NULL CHECK (credit_account_id <> debit_account_id),
    amount            numeric(39, 0) NOT NULL CHECK (amount >= 0),
    pending_id        numeric(39, 0),
    user_data_128     numeric(39, 0) NOT NULL,
    user_data_64      numeric(20, 0) NOT NULL,
    user_data_32      bigint NOT NULL,
    timeout           bigint NOT NULL CHECK (timeout = 0 OR flags & 2 <> 0),
    ledger            bigint NOT NULL CHECK (ledger > 0),
    code              integer NOT NULL CHECK (code > 0),
    flags             integer NOT NULL CHECK ((flags & 12 <> 0) = (pending_id IS NOT NULL)),
    timestamp         bigint NOT NULL,
    PRIMARY KEY (id, app),
    FOREIGN KEY (debit_account_id, app) REFERENCES recordfirst.ledger_account,
    FOREIGN KEY (credit_account_id, app) REFERENCES recordfirst.ledger_account,
    FOREIGN KEY (pending_id, app) REFERENCES recordfirst.ledger_transfer
);

CREATE UNIQUE INDEX IF NOT EXISTS ledger_transfer_by_time ON recordfirst.ledger_transfer (timestamp, app);
CREATE INDEX IF NOT EXISTS ledger_transfer_by_debit ON recordfirst.ledger_transfer (debit_account_id, app, timestamp);
CREATE INDEX IF NOT EXISTS ledger_transfer_by_credit ON recordfirst.ledger_transfer (credit_account_id, app, timestamp);

-- From a business key to what was transferred for it.
CREATE INDEX IF NOT EXISTS ledger_transfer_by_user_data ON recordfirst.ledger_transfer (user_data_128, app, timestamp)
    WHERE user_data_128 <> 0;

-- A pending transfer is settled at most once, whatever else goes wrong.
CREATE UNIQUE INDEX IF NOT EXISTS ledger_transfer_settles ON recordfirst.ledger_transfer (pending_id, app)
    WHERE pending_id IS NOT NULL;

-- What became of each pending transfer. expires_at is nanoseconds since 1970.
CREATE TABLE IF NOT EXISTS recordfirst.ledger_pending (
    app        text COLLATE "C" NOT NULL,
    id         numeric(39, 0) NOT NULL,
    status     text NOT NULL CHECK (status IN ('pending', 'posted', 'voided', 'expired')),
    expires_at bigint,
    PRIMARY KEY (id, app),
    FOREIGN KEY (id, app) REFERENCES recordfirst.ledger_transfer
);

CREATE INDEX IF NOT EXISTS ledger_pending_due ON recordfirst.ledger_pending (expires_at, app)
    WHERE status = 'pending' AND expires_at IS NOT NULL;

-- Ids that were refused for a reason that may pass. They stay refused; the reason is the first one.
CREATE TABLE IF NOT EXISTS recordfirst.ledger_refusal (
    app       text COLLATE "C" NOT NULL,
    id        numeric(39, 0) NOT NULL,
    status    text NOT NULL,
    timestamp bigint NOT NULL,
    PRIMARY KEY (id, app)
);

-- Both sides of every transfer, and what it settles, in the statement that stores it.
CREATE OR REPLACE FUNCTION recordfirst.ledger_move() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    settled bigint;
BEGIN
    INSERT INTO recordfirst.ledger_pending (app, id, status, expires_at)
    SELECT app, id, 'pending', CASE WHEN timeout > 0 THEN timestamp + timeout * 1000000000 END
    FROM moved WHERE flags & 2 <> 0;

    UPDATE recordfirst.ledger_pending AS pending
    SET status = CASE WHEN moved.flags & 4 <> 0 THEN 'posted' ELSE 'voided' END
    FROM moved
    WHERE pending.id = moved.pending_id AND pending.app = moved.app AND pending.status = 'pending';
    GET DIAGNOSTICS settled = ROW_COUNT;
    IF settled <> (SELECT count(pending_id) FROM moved) THEN
        RAISE EXCEPTION 'a transfer settles what is not pending' USING ERRCODE = 'check_violation';
    END IF;

    UPDATE recordfirst.ledger_account AS account
    SET debits_pending = account.debits_pending + change.debits_pending,
        debits_posted = account.debits_posted + change.debits_posted,
        credits_pending = account.credits_pending + change.credits_pending,
        credits_posted = account.credits_posted + change.credits_posted
    FROM (
        SELECT side.app, side.id, sum(side.debits_pending) AS debits_pending, sum(side.debits_posted) AS debits_posted,
               sum(side.credits_pending) AS credits_pending, sum(side.credits_posted) AS credits_posted
        FROM (
            SELECT moved.*,
                   CASE WHEN moved.flags & 2 <> 0 THEN moved.amount ELSE -coalesce(held.amount, 0) END AS held,
                   CASE WHEN moved.flags & 10 <> 0 THEN 0 ELSE moved.amount END AS posted
            FROM moved
            LEFT JOIN recordfirst.ledger_transfer AS held ON held.id = moved.pending_id AND held.app = moved.app
        ) AS given
        CROSS JOIN LATERAL (VALUES
            (given.app, given.debit_account_id, given.held, given.posted, 0, 0),
            (given.app, given.credit_account_id, 0, 0, given.held, given.posted)
        ) AS side (app, id, debits_pending, debits_posted, credits_pending, credits_posted)
        GROUP BY side.app, side.id
    ) AS change
    WHERE account.id = change.id AND account.app = change.app;
    RETURN NULL;
END $$;

CREATE OR REPLACE TRIGGER ledger_transfer_moves AFTER INSERT ON recordfirst.ledger_transfer
    REFERENCING NEW TABLE AS moved FOR EACH STATEMENT EXECUTE FUNCTION recordfirst.ledger_move();

-- What was pending and has expired is free again, on both sides.
CREATE OR REPLACE FUNCTION recordfirst.ledger_expire() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE recordfirst.ledger_account AS account
    SET debits_pending = account.debits_pending
            - CASE WHEN account.id = held.debit_account_id THEN held.amount ELSE 0 END,
        credits_pending = account.credits_pending
            - CASE WHEN account.id = held.credit_account_id THEN held.amount ELSE 0 END
    FROM recordfirst.ledger_transfer AS held
    WHERE held.id = NEW.id AND held.app = NEW.app
      AND account.id IN (held.debit_account_id, held.credit_account_id) AND account.app = NEW.app;
    RETURN NULL;
END $$;

CREATE OR REPLACE TRIGGER ledger_pending_expires AFTER UPDATE OF status ON recordfirst.ledger_pending
    FOR EACH ROW WHEN (NEW.status = 'expired') EXECUTE FUNCTION recordfirst.ledger_expire();

-- What nobody may do, by whatever way they come.
CREATE OR REPLACE FUNCTION recordfirst.ledger_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '%', TG_ARGV[0] USING ERRCODE = 'check_violation';
END $$;

CREATE OR REPLACE TRIGGER ledger_transfer_kept BEFORE UPDATE OR DELETE ON recordfirst.ledger_transfer
    FOR EACH ROW EXECUTE FUNCTION recordfirst.ledger_refuse('a transfer is never changed; another one takes it back');

CREATE OR REPLACE TRIGGER ledger_account_opened BEFORE INSERT ON recordfirst.ledger_account
    FOR EACH ROW
    WHEN (NEW.debits_pending + NEW.debits_posted + NEW.credits_pending + NEW.credits_posted <> 0)
    EXECUTE FUNCTION recordfirst.ledger_refuse('a new account has no balance; transfers make it');

CREATE OR REPLACE TRIGGER ledger_account_moved BEFORE UPDATE ON recordfirst.ledger_account
    FOR EACH ROW
    WHEN (pg_trigger_depth() = 0
          AND (NEW.debits_pending, NEW.debits_posted, NEW.credits_pending, NEW.credits_posted)
              IS DISTINCT FROM (OLD.debits_pending, OLD.debits_posted, OLD.credits_pending, OLD.credits_posted))
    EXECUTE FUNCTION recordfirst.ledger_refuse('balances move by transfers alone');

CREATE OR REPLACE TRIGGER ledger_pending_kept BEFORE UPDATE ON recordfirst.ledger_pending
    FOR EACH ROW
    WHEN (OLD.status <> 'pending' OR (pg_trigger_depth() = 0 AND NEW.status <> 'expired'))
    EXECUTE FUNCTION recordfirst.ledger_refuse('what is pending is settled once, by a transfer or by its timeout');
