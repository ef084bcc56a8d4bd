# SPDX-License-Identifier: BSD-3-Clause
# Copyright the httpcache authors
"""The faults that a request can be answered with, and when they apply.

TABLE is both the documentation (origin.py --help prints it) and what the program knows: names and kinds of values are
read from it.  A Script is a parsed query string: groups of faults, each with its selectors and its own counter."""

import random
import re
import threading
import urllib.parse

TABLE = """\
Faults (N: a number or a size such as 64K; N-M: drawn anew for each request; N..M: N for the first request that it
applies to, one more for each further one, and after M again from N on; names without a value are switches):

 before the answer
  delay=N             wait N milliseconds before the headers
  gate=NAME           hold the answer until the test opens the gate; before the headers, or after gate-at=N body bytes
  gate-at=N
  gate-head           with gate-at: before the headers as well
  stall-header=N      send N bytes of the header block, then nothing for ever (stall-header alone: nothing at all)
  cut-header=N        send N bytes of the header block, then close (see cut-how)
 another answer
  status=N            this status and a short text; with retry-after=TEXT and www-authenticate=TEXT if given
  retry-after=TEXT
  www-authenticate=TEXT
  416=N               416 with "Content-Range: bytes */N"
  padding=N           a body of N zeros to any of these answers
  redirect=TEXT       302 (or redirect-status=N) to TEXT: a URL, a path, or "loop" for the same URL again
  redirect-status=N
  hops=N              N redirects to the same path first, each with one hop less
  no-head             405 to HEAD
  basic=USER:PASS     401 unless the request logs in so
  bearer=TOKEN        401 unless the request carries this bearer token
  sigv4=KEY:SECRET:REGION:SERVICE   403 unless signed so, by AWS Signature Version 4
  require-header=NAME:VALUE   403 unless the request has this header
  serve=PATH          the bytes and validators of another object (/pattern/2M, a file) under this URL
 what the object is
  etag=TEXT           this ETag, literally
  new-etag            another ETag than usual
  weak-etag           the usual ETag, as a weak one
  no-etag
  last-modified=TEXT  this Last-Modified, literally
  no-last-modified
  no-validators       neither
  new-etag-after=N    the same as new-etag&after=N
  grow=N              the object is N bytes longer (zeros)
  size-change-after=N the same as grow=512&after=N
 the header block
  drip-header=N       one byte of it each N milliseconds; with drip-header-at=N, once N bytes of it were sent
  drip-header-at=N
  ignore-range        200 with the whole object
  no-accept-ranges
  no-content-range
  content-range=TEXT  this Content-Range, literally
  no-length           no Content-Length: the close ends the body
  length=TEXT         this Content-Length, literally
  chunked             without a Content-Length, unless length= gives one
  transfer-encoding=TEXT  with chunked: this Transfer-Encoding, literally
  content-type=TEXT   this Content-Type, literally
  http10              HTTP/1.0, closed after the answer
  connection-close    say so and do so
  close-after         close after the answer without saying so
  interim=TEXT        interim answers first: "103", "100,103"
  gzip                Content-Encoding: gzip, and so it is
  cookie=TEXT         Set-Cookie
  big-header=N        a header line of N bytes
  many-headers=N      N header lines
  endless-header      header lines for ever (endless-header=line: one line for ever)
  nul-header          a header line with a NUL inside
  nul-line            a header line that is one NUL
  no-colon            a header line without a colon
 the body
  short=N             206 with only the first N bytes of what was asked; Content-Range says so (legal)
  long=N              206 with N bytes more than asked; Content-Range says so
  extra=N             N bytes more than Content-Range says, which are not of the object
  wrong-range=N       206 for a range N bytes later; Content-Range says so (wrong-range alone: 4096)
  shift=N             the bytes of a range N bytes later under the right Content-Range: a lie nobody can notice
  multipart           206 as multipart/byteranges
  cut=N               close after N bytes of the body, if it is longer; see cut-how
  cut-how=TEXT        fin (default; over TLS without close_notify), notify (TLS close_notify, then FIN), rst
  stall=N             send N bytes of the body, then nothing for ever (stall alone: headers only)
  junk-behind=N       N lines behind the end of the answer that belong to nothing
  no-last-chunk       with chunked: all of the body, then nothing for ever
  drip=N              one byte of the body each N milliseconds
  rate=N              at most N bytes of body a second

Selectors say when the faults before them (back to the selectors before those) apply:
  times=N             to the first N requests only
  after=N             not to the first N requests
  every=N             to the first of each N requests only
  on=LIST             to these requests: "2", "1,4", "3-5"; counted from 1
  at=N                to requests whose range contains byte N only; those alone are then counted
  method=TEXT         to this method only; those alone are then counted
  chance=N            to N requests of a hundred, at random
So "?status=503&times=2&cut=1000&on=4&no-etag" fails the first two requests, cuts the fourth, and never sends an ETag.
Requests are counted for each URL with its query, or, for faults set at run time, for each path since they were set.
Query keys that begin with "x-" or "token", or contain a capital letter or "_", are not faults and mean nothing here.
"""

SELECTORS = ("times", "after", "every", "on", "at", "method", "chance")
_ROW = re.compile(r"^  ([a-z0-9][a-z0-9-]*)(=[A-Z:]+)?(?: |$)", re.M)
_KINDS = {name: (value or "=")[1:] for name, value in _ROW.findall(TABLE)}
_SUGAR = {"new-etag-after": ("new-etag", ""), "size-change-after": ("grow", "512")}
_BARE = {"stall": "0", "stall-header": "0", "wrong-range": "4096"}      # what a number left out means
_rng = random.Random()
_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
_NUMBER = re.compile(r"(\d+)([KMGT]?)(?:-(\d+)([KMGT]?))?")
_SWEEP = re.compile(r"(\d+)\.\.(\d+)")


class BadScript(ValueError):
    """The query asks for something that is not in the table: a mistake in the test."""


def seed(value):
    _rng.seed(value)


def _number(text):
    found = _NUMBER.fullmatch(text)
    if not found:
        raise BadScript(f"not a number: {text!r}")
    low = int(found[1]) * _UNITS[found[2]]
    return (low, int(found[3]) * _UNITS[found[4]] if found[3] else low)


def _ordinals(text):
    """The set-like predicate of "1,4,6-9"."""
    spans = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        if not (first.isdigit() and (last.isdigit() or not last)):
            raise BadScript(f"not a list of ordinals: {text!r}")
        spans.append((int(first), int(last or first)))
    return lambda n: any(a <= n <= b for a, b in spans)


class Faults:
    """The faults that apply to one request.  A drawn number stays the same for the whole request."""

    def __init__(self, values=()):
        self._values = dict(values)
        self._drawn = {}

    def __contains__(self, name):
        return name in self._values

    def text(self, name, default=None):
        return self._values.get(name, default)

    def number(self, name, default=None):
        if name not in self._values:
            return default
        if name not in self._drawn:
            self._drawn[name] = _rng.randint(*_number(self._values[name]))
        return self._drawn[name]

    def update(self, other):
        self._values.update(other)


class _Group:
    """Faults with their selectors.  Locks: the caller's (Script)."""

    def __init__(self):
        self.faults = {}
        self.selectors = {}
        self.seen = 0
        self.applied = 0

    def applies(self, method, byte_range):
        sel = self.selectors
        if "method" in sel and sel["method"] != method:
            return False
        if "at" in sel:
            at = _number(sel["at"])[0]
            if byte_range is None or not byte_range[0] <= at <= byte_range[1]:
                return False
        if "chance" in sel and _rng.randrange(100) >= _number(sel["chance"])[0]:
            return False
        self.seen += 1
        n = self.seen - _number(sel.get("after", "0"))[0]
        if n <= 0 or ("times" in sel and n > _number(sel["times"])[0]):
            return False
        if "every" in sel and (n - 1) % _number(sel["every"])[0]:
            return False
        return "on" not in sel or _ordinals(sel["on"])(self.seen)


    def values(self):
        """The faults, for a request that they apply to."""
        values = dict(self.faults)
        for key, value in values.items():
            sweep = _KINDS[key] == "N" and _SWEEP.fullmatch(value)
            if sweep:
                first, last = int(sweep[1]), int(sweep[2])
                values[key] = str(first + self.applied % (last - first + 1))
        self.applied += 1
        return values


class Script:
    """A parsed query.  Threads: select() may be called by any."""

    def __init__(self, query):
        self._lock = threading.Lock()
        self._groups = [_Group()]
        for key, value in urllib.parse.parse_qsl(query, keep_blank_values=True):
            if key.startswith(("x-", "token")) or "_" in key or key.lower() != key:
                continue
            group = self._groups[-1]
            if key in _SUGAR:
                sugar = _Group()
                sugar.faults = dict([_SUGAR[key]])
                sugar.selectors = {"after": value}
                self._groups.insert(0, sugar)
            elif key in SELECTORS:
                if not group.faults:
                    raise BadScript(f"selector {key} stands before the faults it is for")
                group.selectors[key] = value
            elif key in _KINDS:
                if group.selectors:
                    group = _Group()
                    self._groups.append(group)
                group.faults[key] = value or _BARE.get(key, "")
            else:
                raise BadScript(f"no such fault: {key}")
        for group in self._groups:
            self._check(group)

    @staticmethod
    def _check(group):
        for key, value in group.faults.items():
            if _KINDS[key] == "N" and not _SWEEP.fullmatch(value):
                _number(value)
            elif _KINDS[key] and not value:
                raise BadScript(f"{key} needs a value")
        for key, value in group.selectors.items():
            if key == "on":
                _ordinals(value)
            elif key != "method":
                _number(value)

    def select(self, method, byte_range):
        """The faults for the next request.  BYTE_RANGE: (first, last) as asked, or None."""
        chosen = {}
        with self._lock:
            for group in self._groups:
                if group.faults and group.applies(method, byte_range):
                    chosen.update(group.values())
        return chosen
