-- At the first start-up of an app's first worker.
INSERT INTO recordfirst.timeline (app, record, witness) VALUES (%(app)s, %(record)s, %(witness)s)
ON CONFLICT DO NOTHING
