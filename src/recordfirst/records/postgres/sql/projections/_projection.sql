-- A projection's columns in the order of the fields of Projection; times as milliseconds.
key, function, workflow, fingerprint, request::text, version, projected, tries, error::text,
floor(extract(epoch FROM asked_at) * 1000)::bigint, floor(extract(epoch FROM projected_at) * 1000)::bigint
