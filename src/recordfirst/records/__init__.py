"""Systems of record: a contract, and one package for each product."""
