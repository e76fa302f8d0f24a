"""Start workflows and wait for them: the app, its handles, and the caller's own transaction."""
