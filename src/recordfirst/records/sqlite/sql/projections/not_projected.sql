-- The mirror has not confirmed a version; counts it, for the pause before the next.
UPDATE recordfirst_projection SET tries = tries + 1, error = :error
WHERE app = :app AND key = :key AND projected < version
RETURNING tries
