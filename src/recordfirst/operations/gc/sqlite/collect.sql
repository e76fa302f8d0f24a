-- What stays of a workflow: that its id is taken, by what, and how it ended. No epoch of it begins a step.
UPDATE recordfirst_start
SET state = 'collected', arguments = 'null', result = NULL, engine = NULL, epoch = epoch + 1, min_epoch = epoch + 1,
    error = json_object('type', 'Collected', 'message', 'it had ended as ' || state)
WHERE app = :app AND id IN (SELECT json_extract(value, '$.workflow') FROM json_each(:rows)) AND state <> 'open'
