-- The shop's own tables. recordfirst's tables live beside them.
CREATE TABLE IF NOT EXISTS orders (
    id            TEXT PRIMARY KEY,
    amount_minor  BIGINT NOT NULL,
    status        TEXT NOT NULL DEFAULT 'new',
    client_secret TEXT,
    payment       TEXT,
    paid_minor    BIGINT NOT NULL DEFAULT 0
);

-- One row for each change of an order.
CREATE TABLE IF NOT EXISTS changes (
    number   BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    order_id TEXT NOT NULL REFERENCES orders,
    status   TEXT NOT NULL
)
