-- Ids that have failed now; they answer id_already_failed from here on.
INSERT INTO recordfirst_ledger_refusal (app, id, status, timestamp)
SELECT :app, json_extract(new, '$.id'), json_extract(new, '$.status'),
       CAST(json_extract(new, '$.timestamp') AS INTEGER)
FROM (SELECT value AS new FROM json_each(:rows))
