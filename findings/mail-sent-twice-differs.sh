#!/usr/bin/env bash
# One EmailMessage that is sent twice leaves as two different mails.
#
# Packages: Python's smtplib and email, aiosmtplib 5.1.3, aiosmtpd 1.4.6.
# Expected: the same message object, with its Message-ID and Date set, is the same bytes each time.
# Seen: a message with two parts gets its boundary while it is written, and both clients write a copy of it: each
# sending draws another one. If somebody called bytes(message) before, the boundary is kept, and the bytes are the same.
# Source: smtplib.SMTP.send_message and aiosmtplib's flatten_message copy the message to leave Bcc out;
# email/generator.py, _handle_multipart, draws the boundary and sets it on what it was given.
# Means: a resent mail is not the bytes that were stored or hashed the first time, and what compares them (a log, a
# test, a signature) says two mails. Make the bytes once, store them, and send them with sendmail.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
pyenv=${PYENV_ROOT:-$HOME/.pyenv}
for python in "${PYTHON:-python3.13}" python3.12 python3.14 "$pyenv"/versions/3.1[2-4].*/bin/python; do
    if "$python" -c 'import sys; sys.exit(sys.version_info < (3, 12))' 2>/dev/null; then break; fi
done
"$python" -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check aiosmtpd==1.4.6 aiosmtplib==5.1.3
"$folder/venv/bin/python" -W ignore - "$folder" <<'PYTHON'
import asyncio
import importlib.metadata
import platform
import smtplib
import socket
from email.message import EmailMessage

import aiosmtplib
from aiosmtpd.controller import Controller


class Inbox:
    def __init__(self):
        self.mails = []

    async def handle_DATA(self, server, session, envelope):
        self.mails.append(envelope.content)
        return "250 taken"


def receipt():
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "shop@example.com", "customer@example.com", "Receipt"
    message["Message-ID"], message["Date"] = "<order-1@shop.example.com>", "Fri, 02 Jan 2026 12:00:00 +0000"
    message.set_content("Paid")
    message.add_alternative("<p>Paid</p>", subtype="html")
    return message


def by_smtplib(message):
    with smtplib.SMTP("127.0.0.1", port) as client:
        client.send_message(message)


def by_aiosmtplib(message):
    asyncio.run(aiosmtplib.send(message, hostname="127.0.0.1", port=port))


def same_bytes(send, message):
    send(message)
    send(message)
    return inbox.mails[-1] == inbox.mails[-2]


with socket.create_server(("127.0.0.1", 0)) as free:
    port = free.getsockname()[1]
inbox = Inbox()
controller = Controller(inbox, hostname="127.0.0.1", port=port)
controller.start()
try:
    seen = {send.__name__[3:]: same_bytes(send, receipt()) for send in (by_smtplib, by_aiosmtplib)}
    written = receipt()
    assert bytes(written)
    seen["smtplib, after bytes(message)"] = same_bytes(by_smtplib, written)
finally:
    controller.stop()
print("Python", platform.python_version(), "aiosmtplib", importlib.metadata.version("aiosmtplib"))
print("expected: the same bytes,", dict.fromkeys(seen, True))
print("seen:     the same bytes,", seen)
assert seen == {"smtplib": False, "aiosmtplib": False, "smtplib, after bytes(message)": True}
PYTHON
