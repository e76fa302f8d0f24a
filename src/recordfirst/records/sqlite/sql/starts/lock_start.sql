-- One start. The transaction that asks has the file's lock, so that no epoch of it begins a step meanwhile.
SELECT {start} FROM recordfirst_start WHERE app = :app AND id = :id
