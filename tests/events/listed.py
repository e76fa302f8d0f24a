"""The app that the command is given."""

from __future__ import annotations

import os

from tests.events.dying import app_of

app = app_of(os.environ["EVENTS_RECORD"])
