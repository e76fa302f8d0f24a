-- The record's clock. Not now(): that is when the transaction began.
SELECT floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint
