-- Fails where there are no tables, which is version 0.
SELECT coalesce(max(version), 0) FROM recordfirst_migration
