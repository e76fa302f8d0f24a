-- promise.search, without its tags.
SELECT body FROM promises WHERE id > ? AND state = coalesce(?, state) ORDER BY id
