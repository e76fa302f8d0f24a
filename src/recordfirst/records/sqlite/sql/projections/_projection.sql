-- A projection's columns in the order of the fields of Projection.
key, function, workflow, fingerprint, request, version, projected, tries, error, asked_at_ms, projected_at_ms
