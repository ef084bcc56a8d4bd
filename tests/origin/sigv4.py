# SPDX-License-Identifier: BSD-3-Clause
# Copyright the httpcache authors
"""AWS Signature Version 4, from the side of the store: is this request signed by who has the secret key?

Written after Amazon's description, with the path taken as S3 takes it (decoded and encoded once)."""

import hashlib
import hmac
import re
import urllib.parse

UNRESERVED = "-._~"


def _hmac(key, text):
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def _encode(text, safe=""):
    return urllib.parse.quote(urllib.parse.unquote_to_bytes(text), safe=UNRESERVED + safe)


def canonical_request(method, target, headers, signed, payload_hash):
    """HEADERS: (name, value) as received.  SIGNED: names in lower case."""
    path, _, query = target.partition("?")
    fields = sorted((_encode(name), _encode(value))
                    for name, _, value in (field.partition("=") for field in query.split("&") if field))
    values = {}
    for name, value in headers:
        values.setdefault(name.lower(), []).append(" ".join(value.split()))
    lines = [method, _encode(path, "/"), "&".join(f"{name}={value}" for name, value in fields)]
    lines += [f"{name}:{','.join(values.get(name, ['(missing)']))}" for name in signed]
    return "\n".join([*lines, "", ";".join(signed), payload_hash])


def signature(secret, scope, date, canonical):
    """SCOPE: day/region/service/aws4_request."""
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    to_sign = f"AWS4-HMAC-SHA256\n{date}\n{scope}\n{digest}"
    key = ("AWS4" + secret).encode()
    for part in scope.split("/"):
        key = _hmac(key, part)
    return _hmac(key, to_sign).hex()


def why_wrong(method, target, headers, key_id, secret, region, service):
    """What is wrong with the signature of a request; None: nothing."""
    lower = {name.lower(): value for name, value in headers}
    found = re.fullmatch(r"AWS4-HMAC-SHA256 Credential=([^/]*)/([^,]*), ?SignedHeaders=([^,]*), ?Signature=([0-9a-f]{64})",
                         lower.get("authorization", ""))
    if not found:
        return "not signed"
    given_id, scope, names, given = found.groups()
    date = lower.get("x-amz-date", "")
    signed = names.split(";")
    if given_id != key_id:
        return "another access key"
    if scope != f"{date[:8]}/{region}/{service}/aws4_request":
        return f"another scope: {scope}"
    if signed != sorted(signed):
        return "signed headers out of order"
    must = {"host"} | {name for name in lower if name.startswith("x-amz-")}
    if not must <= set(signed):
        return f"not signed: {sorted(must - set(signed))}"
    payload = lower.get("x-amz-content-sha256")
    if payload is None and service == "s3":
        return "no x-amz-content-sha256"
    canonical = canonical_request(method, target, headers, signed, payload or hashlib.sha256(b"").hexdigest())
    if not hmac.compare_digest(signature(secret, scope, date, canonical), given):
        return "another signature"
    return None
