# SPDX-License-Identifier: BSD-3-Clause
# Copyright the httpcache authors
"""Listening, and one thread for each connection."""

import os
import select
import socket
import ssl
import struct
import sys
import threading

from . import control
from .answer import Cut, Request, Sender, decide, text_answer
from .faults import BadScript, Faults, Script
from .ledger import Hangup, park

MAX_REQUEST = 256 * 1024
_AWAY = ("refuse", "deaf")      # modes in which nothing is accepted


class Listener:
    """The public address.  Its mode says what happens to new connections:

        ok        they are served
        close     accepted and closed at once (FIN)
        reset     accepted and closed at once (RST)
        hang      accepted, and nothing ever said, not even TLS
        refuse    nobody listens (the address stays ours)
        deaf      nobody answers, as if the machine were gone: packets that ask for a connection are dropped

    Threads: set_mode() by any; run() on one of its own."""

    def __init__(self, unix_path, send_buffer):
        self._unix_path = unix_path
        self._send_buffer = send_buffer
        self._changed = threading.Condition()
        self._mode, self._left = "ok", None
        self._fillers = []                  # deaf: connections that fill the queue
        self.port = 0
        if not unix_path:
            # Never listens: it keeps the port ours while nobody does.
            self._reservation = self._bound_socket()
            self.port = self._reservation.getsockname()[1]
        self._sock = self._listen()

    def _bound_socket(self):
        sock = socket.socket(socket.AF_INET)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.bind(("127.0.0.1", self.port))
        return sock

    def _listen(self, backlog=512):
        if self._unix_path:
            if os.path.exists(self._unix_path):
                os.unlink(self._unix_path)
            sock = socket.socket(socket.AF_UNIX)
            sock.bind(self._unix_path)
        else:
            sock = self._bound_socket()
        if self._send_buffer:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, self._send_buffer)
        sock.listen(backlog)
        return sock

    def _fill(self):
        """Connect until the queue is full: Linux drops what comes then."""
        poll = select.poll()
        while True:
            sock = socket.socket(socket.AF_INET)
            sock.setblocking(False)
            sock.connect_ex(("127.0.0.1", self.port))
            self._fillers.append(sock)
            poll.register(sock, select.POLLOUT)
            if not poll.poll(100):          # over loopback, long for one that is taken
                return
            poll.unregister(sock)

    def set_mode(self, mode, times=None):
        """For the next TIMES connections, then ok again; or until changed."""
        if mode not in ("ok", "close", "reset", "hang", "refuse", "deaf"):
            raise BadScript(f"no such mode: {mode}")
        with self._changed:
            was, self._mode, self._left = self._mode, mode, times
            if mode == was or (mode not in _AWAY and was not in _AWAY):
                return
            if was != "refuse":
                if self._unix_path:
                    os.unlink(self._unix_path)
                self._sock.shutdown(socket.SHUT_RDWR)       # wakes accept()
                self._sock.close()
            while self._fillers:
                self._fillers.pop().close()
            if mode == "deaf":
                self._sock = self._listen(0)
                self._fill()
            elif mode != "refuse":
                self._sock = self._listen()
            self._changed.notify_all()

    def accept(self):
        """The next connection, and the mode for it."""
        while True:
            with self._changed:
                while self._mode in _AWAY:
                    self._changed.wait()
                listening = self._sock
            try:
                sock, _ = listening.accept()
            except OSError:
                continue                    # it was shut down under us: refuse
            with self._changed:
                mode = self._mode
                if self._left is not None:
                    self._left -= 1
                    if self._left == 0:
                        self._mode, self._left = "ok", None
            return sock, mode


class Connection:
    """One client's connection.  Threads: run() on its own; drop() and fileno() by any."""

    def __init__(self, server, sock, mode, is_control):
        self.id = 0
        self.requests = 0
        self.announced = False              # the ledger's: its open line is written
        self.counted_closed = False         # the ledger's: it counts as closed already
        self._server = server
        self._sock = sock
        self._mode = mode
        self._control = is_control
        self._buffer = b""
        self._abort = False                 # end with RST, not FIN

    def fileno(self):
        return self._sock.fileno()

    def drop(self):
        """Reset it from another thread."""
        try:
            self._abort = True
            self._sock.shutdown(socket.SHUT_RDWR)       # wakes its thread, whatever that waits for
        except OSError:
            pass

    def run(self):
        ledger = self._server.ledger
        try:
            self._run()
        except (Hangup, OSError, EOFError):
            pass                            # the client has gone: its own business
        except Cut as cut:
            self._cut(str(cut))
        finally:
            # First the log, then the close: who sees the connection closed finds it in the log.
            ledger.connection_closed(self)
            try:
                if self._abort:
                    self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                else:
                    self._sock.shutdown(socket.SHUT_WR)     # FIN, though the client may have sent what was not read
            except OSError:
                pass
            self._sock.close()

    def _run(self):
        self._abort = self._mode == "reset"
        if self._mode in ("close", "reset"):
            return
        if self._mode == "hang":
            park(self._sock)
        if self._sock.family == socket.AF_INET:
            self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self._server.tls and not self._control:
            # The old socket object is detached, its descriptor lives on in the new one.
            self._sock = self._server.tls.wrap_socket(self._sock, server_side=True, do_handshake_on_connect=False)
            self._handshake()
        while True:
            request = self._read_request()
            if request is None or not self._serve(request):
                break

    def _handshake(self):
        try:
            self._sock.do_handshake()
        except ssl.SSLError:
            # Why it failed has been said; a close with bytes unread would be a reset, which can overtake it.
            self._sock.shutdown(socket.SHUT_WR)
            while socket.socket.recv(self._sock, 65536):
                pass
            raise

    def _read_request(self):
        """The next request; None when the client has closed the connection between two."""
        while b"\r\n\r\n" not in self._buffer:
            data = self._sock.recv(65536)
            if not data:
                return None
            self._buffer += data
            if self._buffer.startswith(b"\x16") or len(self._buffer) > MAX_REQUEST:
                raise EOFError("TLS where none is spoken, or an endless request")
        head, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        words = first.split(" ")
        if len(words) != 3:
            raise EOFError("not a request")
        pairs = [line.partition(":") for line in lines]
        return Request(words[0], words[1], words[2], [(name, value.strip()) for name, _, value in pairs])

    def _serve(self, request):
        """True when the connection can be used again."""
        server = self._server
        if request.path.startswith("/_ctl/"):
            if self.requests == 0:
                server.ledger.connection_is_control(self)
            return self._send(request, Faults(), control.run(server, request))
        server.ledger.begin(self, request)
        answer = text_answer(500)
        try:
            try:
                faults = server.faults_for(request)
                answer = decide(request, faults, server.root)
            except BadScript as bad:
                print(f"origin: {request.target}: {bad}", file=sys.stderr, flush=True)
                faults, answer = Faults(), text_answer(400, text=f"origin: {bad}")
            return self._send(request, faults, answer)
        except Cut:
            answer.cut = "us"
            raise
        except (Hangup, OSError):
            answer.cut = "peer"
            raise
        finally:
            if answer.obj is not None:
                answer.obj.close()
            server.ledger.end(self, request, answer)

    def _send(self, request, faults, answer):
        sender = Sender(self._sock, self._server.ledger, request, faults, answer)
        sender.send()
        if not sender.keep_alive:
            self._notify_close()
        return sender.keep_alive

    def _cut(self, how):
        if how == "rst":
            self._abort = True
        elif how == "notify":
            self._notify_close()
        elif how != "fin":
            print(f"origin: no such cut-how: {how}", file=sys.stderr, flush=True)

    def _notify_close(self):
        """Over TLS, say properly that this is the end, and do not wait for the client to say so, too."""
        if isinstance(self._sock, ssl.SSLSocket):
            self._sock.setblocking(False)
            try:
                self._sock.unwrap()
            except (OSError, ValueError):
                pass


class Server:
    """The origin: its listeners, its ledger, and the faults set at run time."""

    def __init__(self, root, ledger, listener, tls):
        self.root = root
        self.ledger = ledger
        self.listener = listener
        self.tls = tls
        self._quit_r, self._quit_w = os.pipe()
        self._lock = threading.Lock()
        self._by_target = {}                # target -> Script of its query
        self._by_path = {}                  # path -> Script set at run time

    def faults_for(self, request):
        """Those of the query, then those set at run time, which win."""
        with self._lock:
            script = self._by_target.get(request.target)
            if script is None:
                script = self._by_target[request.target] = Script(request.query)
            later = self._by_path.get(request.path)
        faults = Faults(script.select(request.method, request.plain_range))
        if later:
            faults.update(later.select(request.method, request.plain_range))
        return faults

    def set_faults(self, path, query):
        """Faults of PATH from now on, whatever its query; an empty QUERY takes them away."""
        script = Script(query)
        with self._lock:
            self._by_path[path] = script

    def reset(self):
        """Counters and selectors begin again; faults set at run time stay."""
        with self._lock:
            self._by_target.clear()
        self.ledger.reset()

    def quit(self):
        os.write(self._quit_w, b"q")

    def run(self, control_path, parent, ready):
        """Serve until quit() or until the process PARENT (None: nobody) has ended; call READY once clients can come."""
        if control_path:
            threading.Thread(target=self._accept, args=(Listener(control_path, 0), True), daemon=True).start()
        threading.Thread(target=self._accept, args=(self.listener, False), daemon=True).start()
        ready()
        poll = select.poll()
        poll.register(self._quit_r, select.POLLIN)
        if parent is not None:
            poll.register(os.pidfd_open(parent), select.POLLIN)
        poll.poll()

    def _accept(self, listener, is_control):
        while True:
            sock, mode = listener.accept()
            conn = Connection(self, sock, mode, is_control)
            self.ledger.connection_opened(conn)
            if is_control:
                self.ledger.connection_is_control(conn)
            threading.Thread(target=conn.run, daemon=True).start()
