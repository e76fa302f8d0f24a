#!/usr/bin/env bash
# A dependency that commits after its yield commits after the caller has been told 201.
#
# Packages: fastapi 0.165.0, uvicorn 0.54.0, httpx 0.28.1.
# Expected: what stands behind a dependency's yield runs before the answer leaves, as around the handler; a commit that
# fails is a 500.
# Seen: by default it runs once the answer has been sent. While the commit still waits, the caller already has its 201,
# and if the commit then fails, the 201 stays and the error is in the server's log alone. Depends(..., scope="function")
# commits first, and the same failure is a 500.
# Source: fastapi/routing.py, the exit stacks of a request; FastAPI docs, "Dependencies with yield and scope". It has
# been both ways: before 0.106 after the answer, from 0.106 before it, since 0.118 after it again.
# Means: a webhook is acknowledged, or a payment confirmed, that was never stored, and nobody sends it again. Commit in
# the handler, or declare the session with scope="function".
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
pyenv=${PYENV_ROOT:-$HOME/.pyenv}
for python in "${PYTHON:-python3.13}" python3.12 python3.14 "$pyenv"/versions/3.1[2-4].*/bin/python; do
    if "$python" -c 'import sys; sys.exit(sys.version_info < (3, 12))' 2>/dev/null; then break; fi
done
"$python" -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check fastapi==0.165.0 httpx==0.28.1 uvicorn==0.54.0
"$folder/venv/bin/python" -W ignore - "$folder" <<'PYTHON'
import asyncio
import importlib.metadata
import socket
import threading
import time
from typing import Annotated

import httpx
import uvicorn
from fastapi import Depends, FastAPI

app = FastAPI()
answered = threading.Event()
order = []


async def session():
    yield "session"
    told = await asyncio.to_thread(answered.wait, 1.0)
    order.append("commit after the answer" if told else "commit before the answer")
    raise ConnectionError("the commit fails")


@app.post("/default", status_code=201)
async def by_default(db: Annotated[str, Depends(session)]):
    return {"paid": True}


@app.post("/function", status_code=201)
async def by_function(db: Annotated[str, Depends(session, scope="function")]):
    return {"paid": True}


listening = socket.create_server(("127.0.0.1", 0))
server = uvicorn.Server(uvicorn.Config(app, log_level="critical"))
running = threading.Thread(target=lambda: asyncio.run(server.serve([listening])), daemon=True)
running.start()
while not server.started:
    time.sleep(0.02)
seen = {}
with httpx.Client(base_url=f"http://127.0.0.1:{listening.getsockname()[1]}", timeout=30) as client:
    for path in ("/default", "/function"):
        answered.clear()
        status = client.post(path).status_code
        answered.set()
        while len(order) == len(seen):
            time.sleep(0.02)
        seen[path] = (status, order[-1])
server.should_exit = True
running.join(10)
names = ("fastapi", "uvicorn", "httpx")
print(", ".join(f"{name} {importlib.metadata.version(name)}" for name in names))
print("expected:", (500, "commit before the answer"), "for both")
print("seen:    ", seen)
assert seen == {"/default": (201, "commit after the answer"), "/function": (500, "commit before the answer")}
PYTHON
