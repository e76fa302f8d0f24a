-- The record's clock.
SELECT now_ms FROM recordfirst_clock
