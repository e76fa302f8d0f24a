-- The columns of an event, in the order of the fields of StoredEvent.
hash, provider, id, type, livemode, account, names, body, state, tries, looks, error,
happened_at_ms, received_at_ms, next_at_ms
