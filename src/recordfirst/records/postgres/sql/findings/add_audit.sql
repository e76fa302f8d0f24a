-- In the transaction of what it tells of.
INSERT INTO recordfirst.audit (app, who, command, subject, why, detail)
VALUES (%(app)s, %(who)s, %(command)s, %(subject)s, %(why)s, %(detail)s)
