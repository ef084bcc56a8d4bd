# SPDX-License-Identifier: BSD-3-Clause
# Copyright the httpcache authors
"""One request, what to answer to it, and sending that with the faults asked for.

decide() is the honest server, plus the faults that are other answers; Sender puts it on the wire, plus the faults of
headers and body."""

import base64
import email.utils
import gzip
import os
import re
import socket
import ssl
import time
import urllib.parse

from . import objects, sigv4
from .ledger import Hangup, park

REASONS = {200: "OK", 206: "Partial Content", 302: "Found", 304: "Not Modified", 400: "Bad Request",
           401: "Unauthorized", 403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed",
           412: "Precondition Failed", 416: "Range Not Satisfiable", 429: "Too Many Requests",
           500: "Internal Server Error", 503: "Service Unavailable"}
BOUNDARY = "a-boundary-of-the-origin"
SLICE = 256 * 1024              # bytes between two looks at the clock, for virtual objects
MAX_GZIP = 64 * 1024 * 1024


class Cut(Exception):
    """A fault ends the connection; the argument is how, see cut-how."""


class Request:
    """What the client asked."""

    def __init__(self, method, target, version, headers):
        self.id = 0
        self.method = method
        self.version = version
        self.headers = headers                                  # (name, value), in order
        self._lower = {name.lower(): value for name, value in headers}
        # "http://host/path" is what a proxy would be asked.
        self.target = re.sub(r"^https?://[^/]*", "", target) or "/"
        self.path, _, self.query = self.target.partition("?")
        self.range_text = re.sub(r"^bytes=", "", self.header("range", "-"))
        found = re.fullmatch(r"(\d+)-(\d*)", self.range_text)
        # (first, last) of a plain range, for the selector at=.
        self.plain_range = (int(found[1]), int(found[2]) if found[2] else 1 << 63) if found else None

    def header(self, name, default=None):
        return self._lower.get(name, default)

    def conditions(self):
        """The If-* headers, for the log."""
        return ";".join(f"{n.lower()}:{v}" for n, v in self.headers if n.lower().startswith("if-")) or "-"


class Answer:
    """What is to be sent, and, as it is sent, how far that came."""

    def __init__(self, status, headers=(), body=b"", obj=None, first=0, length=None):
        self.status = status
        self.headers = list(headers)
        self.body = body            # either these bytes
        self.obj = obj              # or LENGTH bytes of this object from FIRST on
        self.first = first
        self.planned = len(body) if obj is None else length
        self.sent = 0
        self.cut = None


def text_answer(status, headers=(), text=None):
    body = f"{text or REASONS.get(status, 'So it is')}\n".encode()
    return Answer(status, [("Content-Type", "text/plain"), *headers], body)


def resolve_range(text, size):
    """The (first, last) that a Range header means; None: to be ignored; False: cannot be satisfied."""
    found = re.fullmatch(r"bytes=(\d*)-(\d*)", text)
    if not found or text == "bytes=-":
        return None                                     # several ranges as well: a server may ignore them
    if not found[1]:
        count = int(found[2])
        return (max(0, size - count), size - 1) if count and size else False
    first = int(found[1])
    last = min(int(found[2]), size - 1) if found[2] else size - 1
    if found[2] and int(found[2]) < first:
        return None
    return (first, last) if first < size else False


def _etags(text):
    return [t.strip() for t in re.findall(r'\s*(?:W/)?"[^"]*"\s*|\*', text)]


def _weak(etag):
    return etag[2:] if etag.startswith("W/") else etag


def _not_allowed(request, faults):
    """The answer to a request that may not pass, or None."""
    if "basic" in faults:
        want = base64.b64encode(faults.text("basic").encode()).decode()
        if request.header("authorization") != f"Basic {want}":
            return text_answer(401, [("WWW-Authenticate", 'Basic realm="origin"')])
    if "bearer" in faults and request.header("authorization") != f"Bearer {faults.text('bearer')}":
        return text_answer(401, [("WWW-Authenticate", "Bearer")])
    if "sigv4" in faults:
        # "Range" and the like need no signature.
        wrong = sigv4.why_wrong(request.method, request.target, request.headers, *faults.text("sigv4").split(":"))
        if wrong:
            return text_answer(403, text=wrong)
    if "require-header" in faults:
        name, _, value = faults.text("require-header").partition(":")
        if request.header(name.strip().lower()) != value.strip():
            return text_answer(403)
    if "no-head" in faults and request.method == "HEAD":
        return text_answer(405, [("Allow", "GET")])
    return None


def _sent_elsewhere(request, faults):
    """The redirect or the plain status that the faults ask for, or None."""
    where = faults.text("redirect")
    if where == "loop":
        where = request.target
    hops = faults.number("hops", 0)
    if hops:
        where = request.path + "?" + re.sub(r"\bhops=\d+", f"hops={hops - 1}", request.query)
    if where:
        return text_answer(faults.number("redirect-status", 302), [("Location", where)])
    if "416" in faults:
        return text_answer(416, [("Content-Range", f"bytes */{faults.number('416')}")])
    if "status" in faults:
        extra = [(h, faults.text(h.lower())) for h in ("Retry-After", "WWW-Authenticate") if h.lower() in faults]
        return text_answer(faults.number("status"), extra)
    return None


def _validators(obj, faults):
    """The (etag, last_modified) to show."""
    etag, date = obj.etag, obj.last_modified
    if "new-etag" in faults:
        etag = '"new-' + etag[1:]
    if "weak-etag" in faults:
        etag = "W/" + etag
    etag = faults.text("etag", etag)
    date = faults.text("last-modified", date)
    none = "no-validators" in faults
    return (None if none or "no-etag" in faults else etag), (None if none or "no-last-modified" in faults else date)


def _precondition(request, etag, date):
    """412 or 304, or None."""
    if_match = request.header("if-match")
    if if_match is not None:
        tags = _etags(if_match)
        if "*" not in tags and (etag is None or etag.startswith("W/") or etag not in tags):
            return 412
    elif request.header("if-unmodified-since") and date:
        asked = email.utils.parsedate_to_datetime(request.header("if-unmodified-since"))
        if email.utils.parsedate_to_datetime(date) > asked:
            return 412
    if_none = request.header("if-none-match")
    if if_none is not None and etag is not None:
        tags = _etags(if_none)
        if "*" in tags or _weak(etag) in map(_weak, tags):
            return 304
    return None


def decide(request, faults, root):
    """The Answer.  Its object, if it has one, is the caller's to close."""
    early = _not_allowed(request, faults) or _sent_elsewhere(request, faults)
    if early:
        if "padding" in faults:
            size = faults.number("padding")
            return Answer(early.status, early.headers, obj=objects.Zeros(size), length=size)
        return early
    if request.method not in ("GET", "HEAD"):
        return text_answer(405, [("Allow", "GET, HEAD")])
    obj = objects.open_object(root, faults.text("serve", request.path))
    if obj is None:
        return text_answer(404)
    if "grow" in faults:
        obj = objects.Grown(obj, faults.number("grow"))
    etag, date = _validators(obj, faults)
    headers = [("Content-Type", faults.text("content-type", "application/octet-stream"))]
    headers += [("ETag", etag)] if etag else []
    headers += [("Last-Modified", date)] if date else []
    if "no-accept-ranges" not in faults:
        headers.append(("Accept-Ranges", "bytes"))
    status = _precondition(request, etag, date)
    if status:
        obj.close()
        return Answer(status, headers)
    span = None
    if_range = request.header("if-range")
    if request.header("range") and "ignore-range" not in faults:
        if if_range is None or (if_range in (etag, date) and not if_range.startswith("W/")):
            span = resolve_range(request.header("range"), obj.size)
    if span is False:
        obj.close()
        return text_answer(416, [*headers[1:], ("Content-Range", f"bytes */{obj.size}")])
    if span is None:
        return Answer(200, headers, obj=obj, length=obj.size)
    return _partial(obj, headers, span, faults)


def _partial(obj, headers, span, faults):
    """206, with the lies about ranges that the faults ask for."""
    first, last = span
    if "wrong-range" in faults:
        step = min(faults.number("wrong-range"), obj.size - 1 - last) or -first
        first, last = first + step, last + step
    if "short" in faults:
        last = min(last, first + max(1, faults.number("short")) - 1)
    if "long" in faults:
        last = min(last + faults.number("long"), obj.size - 1)
    told = faults.text("content-range", f"bytes {first}-{last}/{obj.size}")
    length = last - first + 1
    if "multipart" in faults:
        part = f"--{BOUNDARY}\r\nContent-Type: application/octet-stream\r\nContent-Range: {told}\r\n\r\n".encode()
        body = part + _read(obj, first, min(length, MAX_GZIP)) + f"\r\n--{BOUNDARY}--\r\n".encode()
        obj.close()
        return Answer(206, [("Content-Type", f"multipart/byteranges; boundary={BOUNDARY}"), *headers[1:]], body)
    if "no-content-range" not in faults:
        headers.append(("Content-Range", told))
    if "shift" in faults:
        first = (first + faults.number("shift")) % max(1, obj.size - length + 1)
    if "extra" in faults:
        obj = objects.Grown(obj, faults.number("extra"), first + length, 0xee)
        length += faults.number("extra")
    return Answer(206, headers, obj=obj, first=first, length=length)


def _read(obj, first, length):
    parts = []
    while length:
        part = bytes(obj.read(first, length))
        parts.append(part)
        first += len(part)
        length -= len(part)
    return b"".join(parts)


class Sender:
    """Sends one Answer.  Raises Cut when a fault ends it, Hangup or OSError when the client does."""

    def __init__(self, sock, ledger, request, faults, answer):
        self._sock = sock
        self._plain = not isinstance(sock, ssl.SSLSocket)
        self._ledger = ledger
        self._request = request
        self._faults = faults
        self._answer = answer
        self.keep_alive = True

    def send(self):
        faults, answer = self._faults, self._answer
        if "gzip" in faults:
            self._compress()
        if "delay" in faults:
            park(self._sock, faults.number("delay") / 1000)
        if "gate" in faults and ("gate-at" not in faults or "gate-head" in faults):
            self._ledger.pass_gate(faults.text("gate"), self._sock)
        head = self._head()
        body = answer.planned if self._request.method != "HEAD" and answer.status != 304 else 0
        answer.planned = body
        if "cut-header" in faults:
            self._sock.sendall(head[:faults.number("cut-header")])
            raise Cut(faults.text("cut-how", "fin"))
        if "stall-header" in faults:
            self._sock.sendall(head[:faults.number("stall-header")])
            self._ledger.stall(self._sock)
        if "endless-header" in faults:
            self._endless(head)
        if "drip-header" in faults:
            at_once = faults.number("drip-header-at", 0)
            self._sock.sendall(head[:at_once])
            for i in range(at_once, len(head)):
                self._sock.sendall(head[i:i + 1])
                park(self._sock, faults.number("drip-header") / 1000)
            head = b""
        self._send_body(head, body)

    def _compress(self):
        answer = self._answer
        data = answer.body
        if answer.obj is not None:
            data = _read(answer.obj, answer.first, min(answer.planned, MAX_GZIP))
            answer.obj.close()
            answer.obj = None
        answer.body = gzip.compress(data, 1)
        answer.planned = len(answer.body)
        answer.headers.append(("Content-Encoding", "gzip"))

    def _head(self):
        faults, answer = self._faults, self._answer
        version = "HTTP/1.0" if "http10" in faults else "HTTP/1.1"
        lines = [f"{version} {answer.status} {REASONS.get(answer.status, 'Status')}",
                 f"Date: {email.utils.formatdate(usegmt=True)}", "Server: httpcache-tests-origin"]
        lines += [f"{name}: {value}" for name, value in answer.headers]
        if "cookie" in faults:
            lines.append(f"Set-Cookie: {faults.text('cookie')}")
        if "chunked" in faults:
            lines.append(f"Transfer-Encoding: {faults.text('transfer-encoding', 'chunked')}")
        if "length" in faults or "chunked" not in faults and "no-length" not in faults and answer.status != 304:
            lines.append(f"Content-Length: {faults.text('length', str(answer.planned))}")
        if self._request.version == "HTTP/1.0" or self._request.header("connection", "").lower() == "close" \
                or any(f in faults for f in ("http10", "no-length", "connection-close")):
            self.keep_alive = False
            if version == "HTTP/1.1":
                lines.append("Connection: close")
        if "close-after" in faults:
            self.keep_alive = False
        if "big-header" in faults:
            lines.append("X-Big: " + "b" * max(0, faults.number("big-header") - 7))
        lines += [f"X-Many-{i}: {i}" for i in range(faults.number("many-headers", 0))]
        if "nul-header" in faults:
            lines.append("X-Nul: a\0b")
        if "nul-line" in faults:
            lines.append("\0")
        if "no-colon" in faults:
            lines.append("this line has no colon")
        interim = "".join(f"HTTP/1.1 {code} Interim\r\nX-Interim: yes\r\n\r\n"
                          for code in faults.text("interim", "").split(",") if code)
        return (interim + "\r\n".join(lines) + "\r\n\r\n").encode("latin-1", "replace")

    def _endless(self, head):
        self._sock.sendall(head[:-2])
        line = self._faults.text("endless-header") == "line"
        if line:
            self._sock.sendall(b"X-Endless: ")
        piece = b"e" * 65536 if line else b"".join(b"X-Endless-%d: endless\r\n" % i for i in range(3000))
        while True:
            self._sock.sendall(piece)

    def _send_body(self, head, length):
        """HEAD goes with the first bytes of the body, as busy servers do it, unless something happens at byte 0."""
        faults, answer = self._faults, self._answer
        stops = []
        if "gate" in faults and "gate-at" in faults:
            stops.append((faults.number("gate-at"), 0, lambda: self._ledger.pass_gate(faults.text("gate"), self._sock)))
        if "stall" in faults:
            stops.append((faults.number("stall"), 1, lambda: self._ledger.stall(self._sock)))
        if "cut" in faults:
            stops.append((faults.number("cut"), 2, self._cut))
        stops = sorted((s for s in stops if s[0] < length), key=lambda s: s[:2])
        start = time.monotonic()
        while True:
            if stops and stops[0][0] == answer.sent:
                if head:
                    self._sock.sendall(head)
                    head = b""
                stops.pop(0)[2]()
                continue
            if answer.sent == length:
                break
            count = (stops[0][0] if stops else length) - answer.sent
            if "drip" in faults:
                count = 1
            if "rate" in faults:
                count = min(count, max(1, faults.number("rate") // 50))
            self._send_some(head, count)
            head = b""
            if "drip" in faults and answer.sent < length:
                park(self._sock, faults.number("drip") / 1000)
            if "rate" in faults:
                park(self._sock, max(0, start + answer.sent / faults.number("rate") - time.monotonic()))
        if "no-last-chunk" in faults:
            self._sock.sendall(head)
            self._ledger.stall(self._sock)
        if head or "chunked" in faults:
            self._sock.sendall(head + (b"0\r\n\r\n" if "chunked" in faults and self._request.method != "HEAD" else b""))
        if "junk-behind" in faults:
            self._sock.sendall(b"junk\r\n" * faults.number("junk-behind"))

    def _cut(self):
        raise Cut(self._faults.text("cut-how", "fin"))

    def _send_some(self, head, count):
        """Some bytes of the body: at least 1, at most COUNT."""
        answer = self._answer
        if answer.obj is None:
            data = answer.body[answer.sent:answer.sent + min(count, SLICE)]
        elif self._plain and answer.obj.fileno() is not None and "chunked" not in self._faults:
            if head:
                self._sock.sendall(head, socket.MSG_MORE)
            sent = os.sendfile(self._sock.fileno(), answer.obj.fileno(), answer.first + answer.sent,
                               min(count, 1 << 30))
            if sent == 0:
                raise EOFError("the file shrank while it was sent")
            answer.sent += sent
            return
        else:
            data = answer.obj.read(answer.first + answer.sent, min(count, SLICE))
        if "chunked" in self._faults:
            self._sock.sendall(b"%s%x\r\n%s\r\n" % (head, len(data), data))
        elif head:
            self._sock.sendall(b"".join((head, data)))
        else:
            self._sock.sendall(data)
        answer.sent += len(data)
