# SPDX-License-Identifier: BSD-3-Clause
# Copyright the httpcache authors
"""What has happened so far: the log, the counters, the gates, and waiting for any of them to reach a number.

The log has one line for each event, words of the form key=value with blanks percent-escaped:

    open     conn=1
    request  id=1 conn=1 method=GET path=/disk.raw query=- range=0-65535 cond=-             (when it has been read)
    header   id=1 name=User-Agent value=...                                                 (with --log-headers)
    answer   id=1 conn=1 method=GET path=/disk.raw query=- range=0-65535 status=206 planned=65536 sent=65536 cut=no
    close    conn=1 requests=1

A "request" line is written before anything is answered, so a client that has its bytes finds it in the log; an
"answer" line is written once the last byte was handed to the kernel, so count those after /_ctl/wait?idle=1.
"range" is what was asked ("-": none), "sent" what was handed to the kernel of the body.  "cut" says how an answer
that is shorter than planned ended: "us" (a fault) or "peer" (the client went away).

Threads: everything here may be called by any thread; one lock, never held while sending."""

import collections
import os
import select
import threading
import time
import urllib.parse


_PRINTABLE = "".join(map(chr, range(0x21, 0x7f)))


class Hangup(Exception):
    """The client closed its connection while its answer was held back."""


class Parked:
    """A request that is held back: it sleeps until woken, until a time, or until its client goes away."""

    def __init__(self, sock):
        self._wake = os.eventfd(0, os.EFD_CLOEXEC)
        self._poll = select.poll()
        self._poll.register(self._wake, select.POLLIN)
        # POLLHUP and POLLERR are always reported.  Not POLLIN: TLS may have something to say.
        self._poll.register(sock.fileno(), select.POLLRDHUP)

    def wake(self):
        os.eventfd_write(self._wake, 1)

    def sleep(self, seconds=None):
        """True when woken, False when the time is over."""
        events = dict(self._poll.poll(None if seconds is None else max(0, seconds * 1000)))
        if self._wake in events:
            return True
        if events:
            raise Hangup
        return False

    def close(self):
        os.close(self._wake)


def park(sock, seconds=None):
    """Sleep for SECONDS, or for ever; Hangup when the client goes away."""
    parked = Parked(sock)
    try:
        parked.sleep(seconds)
    finally:
        parked.close()


class Counters:
    """The figures of one path, or of all."""

    def __init__(self):
        self.requests = 0           # that have been read, with whatever method
        self.heads = 0              # of them HEAD
        self.answers = 0            # that have ended, well or not
        self.sent = 0               # bytes of body
        self.in_progress = 0        # read, not ended; may count one too many that its client has already finished with
        self.max_in_progress = 0

    def begin(self, method):
        self.requests += 1
        self.heads += method == "HEAD"
        self.in_progress += 1
        self.max_in_progress = max(self.max_in_progress, self.in_progress)

    def end(self, sent):
        self.answers += 1
        self.in_progress -= 1
        self.sent += sent


class Ledger:
    def __init__(self, log_path, log_headers):
        self._log = os.open(log_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644) if log_path else None
        self.log_headers = log_headers
        self._changed = threading.Condition()
        self._next_request = 0
        self._next_conn = 0
        self._conns = {}                # id -> connection, those not closed
        self._gates = {}                # name -> _Gate
        self._stalled = 0
        self._all = Counters()
        self._paths = collections.defaultdict(Counters)
        self._moves = []                # (conn id, +1 or -1) in order: control connections are known only later
        self._control = set()           # ids of control connections

    def _write(self, kind, **words):
        if self._log is not None:
            text = " ".join(f"{k}={urllib.parse.quote(str(v), safe=_PRINTABLE) or '-'}" for k, v in words.items())
            os.write(self._log, f"{kind} {text}\n".encode())

    # Connections.

    def connection_opened(self, conn):
        """Gives the connection its id.  Those whose client has gone, though their thread has not noticed yet, are
        counted as closed first: otherwise a client that closes one and opens another would seem to have two."""
        with self._changed:
            poll = select.poll()
            by_fd = {}
            for other in self._conns.values():
                if other.fileno() >= 0:
                    by_fd[other.fileno()] = other
                    poll.register(other.fileno(), select.POLLRDHUP)
            for fd, _ in poll.poll(0):
                self._count_closed(by_fd[fd])
            self._next_conn += 1
            conn.id = self._next_conn
            self._conns[conn.id] = conn
            self._moves.append((conn.id, +1))
            self._changed.notify_all()

    def _count_closed(self, conn):
        if not conn.counted_closed:
            conn.counted_closed = True
            self._moves.append((conn.id, -1))

    def connection_is_control(self, conn):
        with self._changed:
            self._control.add(conn.id)

    def connection_closed(self, conn):
        with self._changed:
            if conn.id not in self._control:
                self._announce(conn)
                self._write("close", conn=conn.id, requests=conn.requests)
            self._count_closed(conn)
            del self._conns[conn.id]
            self._changed.notify_all()

    def _announce(self, conn):
        """The open line, once it is known not to be a control connection."""
        if not conn.announced:
            conn.announced = True
            self._write("open", conn=conn.id)

    def connections(self):
        with self._changed:
            return [c for c in self._conns.values() if c.id not in self._control]

    # Requests.

    def begin(self, conn, request):
        with self._changed:
            self._announce(conn)
            self._next_request += 1
            request.id = self._next_request
            conn.requests += 1
            for counters in (self._all, self._paths[request.path]):
                counters.begin(request.method)
            self._write("request", id=request.id, conn=conn.id, method=request.method, path=request.path,
                        query=request.query, range=request.range_text, cond=request.conditions())
            if self.log_headers:
                for name, value in request.headers:
                    self._write("header", id=request.id, name=name, value=value)
            self._changed.notify_all()

    def end(self, conn, request, answer):
        cut = "no" if answer.cut is None else answer.cut
        with self._changed:
            self._write("answer", id=request.id, conn=conn.id, method=request.method, path=request.path,
                        query=request.query, range=request.range_text, status=answer.status,
                        planned=answer.planned, sent=answer.sent, cut=cut)
            for counters in (self._all, self._paths[request.path]):
                counters.end(answer.sent)
            self._changed.notify_all()

    def stall(self, sock):
        """Until the client goes away."""
        with self._changed:
            self._stalled += 1
            self._changed.notify_all()
        try:
            park(sock)
        finally:
            with self._changed:
                self._stalled -= 1
                self._changed.notify_all()

    # Gates.  Closed at first.

    def pass_gate(self, name, sock):
        with self._changed:
            gate = self._gates.setdefault(name, _Gate())
            if gate.admit():
                return
            parked = Parked(sock)
            gate.waiting.append(parked)
            self._changed.notify_all()
        try:
            parked.sleep()
        finally:
            with self._changed:
                if parked in gate.waiting:
                    gate.waiting.remove(parked)
                self._changed.notify_all()
            parked.close()

    def open_gate(self, name, count=None):
        """For good, or for the next COUNT requests (those that wait come first)."""
        with self._changed:
            self._gates.setdefault(name, _Gate()).open(count)
            self._changed.notify_all()

    def close_gate(self, name):
        with self._changed:
            self._gates.setdefault(name, _Gate()).tickets = 0

    # What is told.

    def reset(self):
        """Counters begin again at 0; ids, gates and the log go on."""
        with self._changed:
            in_progress = {path: c.in_progress for path, c in self._paths.items()}
            self._all, self._paths = Counters(), collections.defaultdict(Counters)
            for path, n in in_progress.items():
                for counters in (self._all, self._paths[path]):
                    counters.in_progress += n
                    counters.max_in_progress = counters.in_progress
            self._moves = [(c.id, +1) for c in self._conns.values() if not c.counted_closed]
            self._changed.notify_all()

    def stats(self):
        with self._changed:
            return self._stats()

    def _stats(self):
        now_open = max_open = conns = 0
        for conn_id, step in self._moves:
            if conn_id not in self._control:
                now_open += step
                conns += step > 0
                max_open = max(max_open, now_open)
        return {"open": now_open, "max_open": max_open, "conns": conns, "stalled": self._stalled, **vars(self._all),
                "gates": {n: {"waiting": len(g.waiting), "open": g.tickets is None} for n, g in self._gates.items()},
                "paths": {path: dict(vars(c)) for path, c in self._paths.items()}}

    def wait(self, holds, seconds):
        """Wait until HOLDS(stats) is true; False if that takes longer."""
        deadline = time.monotonic() + seconds
        with self._changed:
            while not holds(self._stats()):
                left = deadline - time.monotonic()
                if left <= 0:
                    return False
                self._changed.wait(left)
        return True


class _Gate:
    """Locks: the ledger's."""

    def __init__(self):
        self.tickets = 0            # how many may still pass; None: all
        self.waiting = []           # Parked, oldest first

    def admit(self):
        if self.tickets is None:
            return True
        if self.tickets > 0:
            self.tickets -= 1
            return True
        return False

    def open(self, count):
        self.tickets = None if count is None else self.tickets + count if self.tickets is not None else None
        while self.waiting and self.admit():
            self.waiting.pop(0).wake()
