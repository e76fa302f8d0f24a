-- Who we are, and whether we may use Resonate here; NULL: it is not here.
SELECT current_user, CASE
    WHEN to_regnamespace('resonate') IS NULL THEN NULL
    WHEN NOT has_schema_privilege('resonate', 'USAGE') THEN false
    ELSE has_function_privilege('resonate.resonate_rpc(jsonb)', 'EXECUTE')
END
