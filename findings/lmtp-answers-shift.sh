#!/usr/bin/env bash
# A refused recipient is reported as served, and the next customer's mail is refused in its place.
#
# Packages: Python's smtplib; aiosmtpd 1.4.6 as the server.
# Expected: LMTP gives one answer for each recipient after the data, and smtplib.LMTP.sendmail returns those that were
# refused, as it does for RCPT: full@example.com with its 552.
# Seen: it reads one answer. The refusal of the second recipient is lost, sendmail returns {}, and the answer lies in
# the connection: the next mail's MAIL gets it, and raises SMTPSenderRefused with the other customer's text. Nothing of
# that mail is delivered.
# Source: smtplib.SMTP.data and sendmail, which LMTP inherits as they are; RFC 2033, 4.2.
# Means: a shop whose receipts go to a local delivery agent books the wrong one as sent. Mails with one recipient each
# are answered rightly.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
pyenv=${PYENV_ROOT:-$HOME/.pyenv}
for python in "${PYTHON:-python3.13}" python3.12 python3.14 "$pyenv"/versions/3.1[2-4].*/bin/python; do
    if "$python" -c 'import sys; sys.exit(sys.version_info < (3, 12))' 2>/dev/null; then break; fi
done
"$python" -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check aiosmtpd==1.4.6
"$folder/venv/bin/python" -W ignore - "$folder" <<'PYTHON'
import platform
import smtplib
import socket

from aiosmtpd.controller import Controller
from aiosmtpd.lmtp import LMTP


class Mailboxes:
    def __init__(self):
        self.delivered = []

    async def handle_DATA(self, server, session, envelope):
        """The answers of RFC 2033: one for each recipient."""
        fits = [recipient for recipient in envelope.rcpt_tos if not recipient.startswith("full")]
        self.delivered += fits
        full = "552 mailbox is full"
        return "\r\n".join("250 delivered" if recipient in fits else full for recipient in envelope.rcpt_tos)


class Agent(Controller):
    def factory(self):
        return LMTP(self.handler)


def sent(client, *recipients):
    try:
        return client.sendmail("shop@example.com", recipients, "Subject: Receipt\r\n\r\nPaid")
    except smtplib.SMTPResponseException as error:
        return type(error).__name__, error.smtp_code, error.smtp_error.decode()


with socket.create_server(("127.0.0.1", 0)) as free:
    port = free.getsockname()[1]
mailboxes = Mailboxes()
agent = Agent(mailboxes, hostname="127.0.0.1", port=port)
agent.start()
try:
    client = smtplib.LMTP("127.0.0.1", port, timeout=30)
    seen = [sent(client, "a@example.com", "full@example.com"), sent(client, "b@example.com")]
    client.close()
    delivered, mailboxes.delivered = mailboxes.delivered, []
    client = smtplib.LMTP("127.0.0.1", port, timeout=30)
    alone = [sent(client, recipient) for recipient in ("a@example.com", "full@example.com", "b@example.com")]
    client.close()
finally:
    agent.stop()
print("Python", platform.python_version())
print("expected:", [{"full@example.com": (552, b"mailbox is full")}, {}], "delivered to a and b")
print("seen:    ", seen, "delivered to", delivered)
print("          one recipient a mail:", alone, "delivered to", mailboxes.delivered)
assert seen == [{}, ("SMTPSenderRefused", 552, "mailbox is full")]
assert delivered == ["a@example.com"]
assert alone == [{}, ("SMTPDataError", 552, "mailbox is full"), {}]
assert mailboxes.delivered == ["a@example.com", "b@example.com"]
PYTHON
