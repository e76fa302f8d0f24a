"""What a workflow takes: bytes in the record, in the embedded engine's file, in the worker. ``--help`` tells more."""
