-- A new file.
INSERT INTO meta (identity, version) VALUES (?, ?)
