-- What stays of a workflow: that its id is taken, by what, and how it ended. No epoch of it begins a step.
UPDATE recordfirst.start
SET state = 'collected', arguments = 'null', result = NULL, engine = NULL, epoch = epoch + 1, min_epoch = epoch + 1,
    error = json_build_object('type', 'Collected', 'message', 'it had ended as ' || state)
WHERE app = %(app)s AND id = ANY(%(workflow)s::text[]) AND state <> 'open'
