-- A receipt's columns in the order of the fields of Receipt; times as milliseconds.
key, attempt, kind, function, workflow, state, fingerprint, request::text, frozen::text, undo, result::text, error::text, revision,
floor(extract(epoch FROM created_at) * 1000)::bigint, floor(extract(epoch FROM settled_at) * 1000)::bigint,
calls, doubts, replayed, reissue, claim, floor(extract(epoch FROM claim_until) * 1000)::bigint,
floor(extract(epoch FROM key_since) * 1000)::bigint, floor(extract(epoch FROM last_call_at) * 1000)::bigint,
floor(extract(epoch FROM next_at) * 1000)::bigint, reply::text, parked_on, undone_by,
floor(extract(epoch FROM pending_since) * 1000)::bigint, floor(extract(epoch FROM until_at) * 1000)::bigint
