-- At the first start-up of an app's first worker.
INSERT INTO recordfirst.timeline (app, record, history_id) VALUES (%(app)s, %(record)s, %(history_id)s)
ON CONFLICT DO NOTHING
