"""Verifies a request by the Standard Webhooks specification 1.0.0, with nothing but Python's own library: an implementation that is not
ours. Reads JSON {secret, headers, body (base64)} from standard input; exit code 0 if the request is genuine, 1 with the reason if not."""

import base64
import binascii
import hashlib
import hmac
import json
import sys
import time

TOLERANCE_SECONDS = 5 * 60


def reason_against(secret, headers, body, now):
    for name in ("webhook-id", "webhook-timestamp", "webhook-signature"):
        if name not in headers:
            return f"no {name}"
    timestamp = headers["webhook-timestamp"]
    if abs(int(timestamp) - now) > TOLERANCE_SECONDS:
        return "the timestamp is too old or too new"
    try:
        key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except binascii.Error:
        return "the secret is no base64"
    signed = headers["webhook-id"].encode() + b"." + timestamp.encode() + b"." + body
    want = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    for signature in headers["webhook-signature"].split(" "):
        version, _, value = signature.partition(",")
        if version == "v1" and hmac.compare_digest(value, want):
            return None
    return "no signature fits"


def main():
    given = json.load(sys.stdin)
    reason = reason_against(given["secret"], given["headers"], base64.b64decode(given["body"]), given.get("now", time.time()))
    if reason:
        sys.exit(reason)


main()
