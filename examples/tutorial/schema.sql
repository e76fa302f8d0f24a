-- The shop's own table. recordfirst's tables live beside it.
CREATE TABLE IF NOT EXISTS orders (
    id           TEXT PRIMARY KEY,
    amount_minor INTEGER NOT NULL,
    status       TEXT NOT NULL,
    charge       TEXT
)
