#!/usr/bin/env bash
# A refused recipient is reported as served, and the next customer's mail is refused in its place.
#
# Packages: none, Python's smtplib.
# Expected: LMTP gives one answer for each recipient after the data, and smtplib.LMTP.sendmail returns those that were
# refused, as it does for RCPT: full@example.com with its 552.
# Seen: it reads one answer. The refusal of the second recipient is lost, sendmail returns {}, and the answer lies in
# the connection: the next mail's MAIL gets it, and raises SMTPSenderRefused with the other customer's text. The
# mail after that is refused with "250 recipient ok".
# Source: smtplib.SMTP.data and sendmail, which LMTP inherits as they are; RFC 2033, 4.2.
# Means: whoever sends receipts to a local delivery agent books the wrong one as sent. Mails with one
# recipient each are answered rightly.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
pyenv=${PYENV_ROOT:-$HOME/.pyenv}
for python in "${PYTHON:-python3.13}" python3.12 python3.14 "$pyenv"/versions/3.1[2-4].*/bin/python; do
    if "$python" -c 'import sys; sys.exit(sys.version_info < (3, 12))' 2>/dev/null; then break; fi
done
"$python" -m venv "$folder/venv"
"$folder/venv/bin/python" -W ignore - "$folder" <<'PYTHON'
import platform
import smtplib
import socket
import threading

delivered = []


def serve(conn):
    """RFC 2033 for mails without a leading dot: after the data, an answer for each recipient."""
    file, recipients = conn.makefile("rwb"), []

    def say(text):
        file.write(text.encode() + b"\r\n")
        file.flush()

    say("220 delivery agent")
    for line in file:
        command = line.decode().strip().upper()
        if command.startswith("RCPT"):
            recipients.append(command.lower().partition("<")[2].rstrip(">"))
            say("250 recipient ok")
        elif command == "DATA":
            say("354 the mail")
            while file.readline() != b".\r\n":
                pass
            for recipient in recipients:
                if recipient.startswith("full"):
                    say(f"552 mailbox of {recipient} is full")
                else:
                    delivered.append(recipient)
                    say("250 delivered")
            recipients = []
        else:  # LHLO, MAIL and RSET begin anew
            recipients = []
            say("250 ok")


def listen(server):
    while True:
        threading.Thread(target=serve, args=(server.accept()[0],), daemon=True).start()


def sent(client, *recipients):
    try:
        return client.sendmail("shop@example.com", recipients, "Subject: Receipt\r\n\r\nPaid")
    except smtplib.SMTPRecipientsRefused as error:
        return error.recipients
    except smtplib.SMTPResponseException as error:
        return type(error).__name__, error.smtp_code, error.smtp_error.decode()


server = socket.create_server(("127.0.0.1", 0))
threading.Thread(target=listen, args=(server,), daemon=True).start()
port = server.getsockname()[1]
client = smtplib.LMTP("127.0.0.1", port, timeout=10)
seen = [sent(client, "a@example.com", "full@example.com"), sent(client, "b@example.com"), sent(client, "c@example.com")]
client.close()
client = smtplib.LMTP("127.0.0.1", port, timeout=10)
alone = [sent(client, recipient) for recipient in ("a@example.com", "full@example.com", "b@example.com")]
client.close()
print("Python", platform.python_version())
print("expected:", [{"full@example.com": (552, b"mailbox of full@example.com is full")}, {}, {}])
print("seen:    ", seen)
print("          and with one recipient a mail:", alone)
assert seen == [
    {},
    ("SMTPSenderRefused", 552, "mailbox of full@example.com is full"),
    ("SMTPDataError", 250, "recipient ok"),
]
assert alone == [{}, ("SMTPDataError", 552, "mailbox of full@example.com is full"), {}]
assert delivered == ["a@example.com", "a@example.com", "b@example.com"]
PYTHON
