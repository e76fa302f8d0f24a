"""The systems that effects call: a contract that says what each guarantees, and one package for each provider."""
