-- A receipt's columns in the order of the fields of Receipt.
key, attempt, kind, function, workflow, state, fingerprint, request, frozen, undo, result, error, revision,
created_at_ms, settled_at_ms, calls, doubts, replayed, reissue, claim, claim_until_ms, key_since_ms, last_call_at_ms,
next_at_ms, reply, parked_on, undone_by, pending_since_ms, until_at_ms
