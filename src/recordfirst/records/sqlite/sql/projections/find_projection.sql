-- One projection by its key.
SELECT {projection} FROM recordfirst_projection WHERE app = :app AND key = :key
