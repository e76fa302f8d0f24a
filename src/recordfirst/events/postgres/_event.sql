-- The columns of an event, in the order of the fields of StoredEvent.
hash, provider, id, type, livemode, account, names::text, body::text, state, tries, looks, error::text,
floor(extract(epoch FROM happened_at) * 1000)::bigint, floor(extract(epoch FROM received_at) * 1000)::bigint,
floor(extract(epoch FROM next_at) * 1000)::bigint
