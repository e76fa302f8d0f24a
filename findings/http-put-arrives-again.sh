#!/usr/bin/env bash
# A PUT or DELETE whose answer is lost arrives once, twice or four times, by HTTP client, with nothing configured.
#
# Packages: aiohttp 3.14.5, httpx 0.28.1, requests 2.34.2, urllib3 2.8.0, Python's http.client.
# Expected: retries are off until one asks for them, as they are in requests, httpx and http.client: each request
# reaches the server once, and the caller gets the error.
# Seen: urllib3's PoolManager sends a PUT or DELETE four times, aiohttp's session twice, on a new connection as well as
# on a reused one. Both leave POST and PATCH alone. requests, which is built on urllib3, switches its retries off.
# Source: urllib3/util/retry.py, Retry.DEFAULT = Retry(3) and DEFAULT_ALLOWED_METHODS; aiohttp/client.py,
# IDEMPOTENT_METHODS, and ClientSession._retry_connection, which only its test utilities set to False.
# Means: a provider that counts calls, or captures by PUT, sees several where the program's log has one failure. Pass
# retries=False to urllib3; with aiohttp, put what must arrive once in a POST, or count in the provider's log.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
pyenv=${PYENV_ROOT:-$HOME/.pyenv}
for python in "${PYTHON:-python3.13}" python3.12 python3.14 "$pyenv"/versions/3.1[2-4].*/bin/python; do
    if "$python" -c 'import sys; sys.exit(sys.version_info < (3, 12))' 2>/dev/null; then break; fi
done
"$python" -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check aiohttp==3.14.5 httpx==0.28.1 requests==2.34.2 \
    urllib3==2.8.0
"$folder/venv/bin/python" -W ignore - "$folder" <<'PYTHON'
import asyncio
import collections
import http.client
import importlib.metadata
import socket
import threading

import aiohttp
import httpx
import requests
import urllib3

METHODS = ("PUT", "DELETE", "POST", "PATCH")
arrived = collections.Counter()


def serve(conn):
    """Answer what comes to /first; take anything else in, count it, and hang up."""
    lines = conn.makefile("rb")
    while request := lines.readline():
        size = 0
        while (header := lines.readline()) not in (b"\r\n", b""):
            if header.lower().startswith(b"content-length:"):
                size = int(header.split(b":")[1])
        lines.read(size)
        path = request.split()[1].decode()
        if path != "/first":
            arrived[path] += 1
            break
        conn.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    conn.shutdown(socket.SHUT_RDWR)
    conn.close()


def listen(server):
    while True:
        threading.Thread(target=serve, args=(server.accept()[0],), daemon=True).start()


def by_requests(method, path, reused):
    with requests.Session() as client:
        if reused:
            client.get(f"{base}/first")
        client.request(method, base + path)


def by_urllib3(method, path, reused):
    client = urllib3.PoolManager()
    if reused:
        client.request("GET", f"{base}/first")
    client.request(method, base + path)


def by_httpx(method, path, reused):
    with httpx.Client() as client:
        if reused:
            client.get(f"{base}/first")
        client.request(method, base + path)


def by_http_client(method, path, reused):
    client = http.client.HTTPConnection(base.removeprefix("http://"))
    if reused:
        client.request("GET", "/first")
        client.getresponse().read()
    client.request(method, path)
    client.getresponse()


def by_aiohttp(method, path, reused):
    async def main():
        async with aiohttp.ClientSession() as client:
            if reused:
                async with client.get(f"{base}/first") as answer:
                    await answer.read()
            async with client.request(method, base + path):
                pass

    asyncio.run(main())


server = socket.create_server(("127.0.0.1", 0))
threading.Thread(target=listen, args=(server,), daemon=True).start()
base = f"http://127.0.0.1:{server.getsockname()[1]}"
seen = {}
for call in (by_requests, by_httpx, by_http_client, by_aiohttp, by_urllib3):
    for reused in (False, True):
        for method in METHODS:
            path = f"/{call.__name__}/{method}/{reused}"
            try:
                call(method, path, reused)
                raise SystemExit("an answer that was not sent")
            except (OSError, http.client.HTTPException, requests.RequestException, httpx.HTTPError,
                    aiohttp.ClientError, urllib3.exceptions.HTTPError):
                pass
            seen[call.__name__[3:], method, reused] = arrived[path]
names = ("aiohttp", "httpx", "requests", "urllib3")
print(", ".join(f"{name} {importlib.metadata.version(name)}" for name in names))
print("expected: 1 for each of", ", ".join(METHODS))
for client in ("requests", "httpx", "http_client", "aiohttp", "urllib3"):
    counts = [[seen[client, method, reused] for method in METHODS] for reused in (False, True)]
    print(f"seen:     {client}: new connection {counts[0]}, reused {counts[1]}")
    times = {"aiohttp": 2, "urllib3": 4}.get(client, 1)
    assert counts == [[times, times, 1, 1]] * 2
PYTHON
