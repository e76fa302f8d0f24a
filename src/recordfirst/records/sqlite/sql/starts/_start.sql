-- A start's columns in the order of the fields of Start.
id, workflow, arguments, fingerprint, state, epoch, engine, result, error, created_at_ms, finished_at_ms, min_epoch,
undo_only, stop, stopped_at_ms, stopped_in, tries, again
