-- Whether Resonate is in this database and lets us ask it.
SELECT CASE
    WHEN to_regnamespace('resonate') IS NULL THEN false
    WHEN NOT has_schema_privilege('resonate', 'USAGE') THEN false
    ELSE has_function_privilege('resonate.resonate_rpc(jsonb)', 'EXECUTE')
END
