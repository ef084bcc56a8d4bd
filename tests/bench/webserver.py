# SPDX-License-Identifier: BSD-3-Clause
# Copyright the httpcache authors
"""The origin: an nginx on the far end of a link, which counts what it is asked for.

WebServer is a context manager.  It serves one folder over HTTP, HTTPS with HTTP/1.1 and HTTPS with HTTP/2 (`urls`), on
ports that were free: the sockets are bound here, in the origin's namespace, and handed to nginx as when its binary is
upgraded (the variable NGINX).  mark() and seen() frame one measurement; seen() waits until the requests have ended."""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time

from link import enter

PROTOCOLS = ("http", "https", "h2")
CONFIG = """\
daemon off; worker_processes 1; {user}
pid {dir}/nginx.pid; error_log {dir}/error.log;
events {{ worker_connections 1024; }}
http {{
    log_format bench '$connection $status $body_bytes_sent';
    access_log {dir}/access.log bench;
    client_body_temp_path {dir}/t1; proxy_temp_path {dir}/t2; fastcgi_temp_path {dir}/t3;
    uwsgi_temp_path {dir}/t4; scgi_temp_path {dir}/t5;
    sendfile on; tcp_nopush on; keepalive_requests 1000000; autoindex on;
    ssl_certificate {dir}/cert.pem; ssl_certificate_key {dir}/key.pem; ssl_protocols TLSv1.2 TLSv1.3;
    server {{ listen {address}:{ports[0]}; listen {address}:{ports[1]} ssl; listen {address}:{ports[2]} ssl http2;
              root {root}; }}
}}
"""


def become_nginx(folder, root, address):
    """Bind the sockets, say their ports, and execute nginx."""
    sockets = []
    for _ in PROTOCOLS:
        sockets.append(socket.socket())
        sockets[-1].setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sockets[-1].bind((address, 0))
        sockets[-1].listen(512)
        sockets[-1].set_inheritable(True)
    ports = [sock.getsockname()[1] for sock in sockets]
    with open(f"{folder}/nginx.conf", "w", encoding="utf-8") as file:
        file.write(CONFIG.format(dir=folder, root=root, address=address, ports=ports,
                                 user="user root;" if os.geteuid() == 0 else ""))
    print(*ports, flush=True)
    os.environ["NGINX"] = "".join(f"{sock.fileno()};" for sock in sockets)
    os.execvp("nginx", ["nginx", "-e", f"{folder}/error.log", "-p", folder, "-c", f"{folder}/nginx.conf"])


class WebServer:
    def __init__(self, link, root):
        self._link, self._root = link, root

    def __enter__(self):
        self._folder = tempfile.mkdtemp(prefix="httpcache-bench-origin-")
        self._log = f"{self._folder}/access.log"
        address = self._link.address
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=origin",
                        "-addext", f"subjectAltName=IP:{address}", "-keyout", f"{self._folder}/key.pem",
                        "-out", f"{self._folder}/cert.pem"], check=True, stderr=subprocess.DEVNULL)
        # pylint: disable=consider-using-with
        self._process = subprocess.Popen([sys.executable, __file__, self._folder, self._root, address],
                                         stdout=subprocess.PIPE, text=True,
                                         preexec_fn=lambda: enter(self._link.origin_namespace))
        ports = self._process.stdout.readline().split()
        if len(ports) != len(PROTOCOLS):
            self.__exit__()
            raise SystemExit("bench: nginx did not start")
        self.urls = {protocol: f"{'http' if protocol == 'http' else 'https'}://{address}:{port}/"
                     for protocol, port in zip(PROTOCOLS, ports)}
        self._at = 0
        return self

    def __exit__(self, *_):
        self._process.terminate()
        self._process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _length(self):
        return os.path.getsize(self._log) if os.path.exists(self._log) else 0

    def mark(self):
        """What comes from here on is counted."""
        self._at = self._length()

    def seen(self):
        """Requests, bytes of bodies, and connections since mark()."""
        length, quiet = self._length(), 0
        while quiet < 3:
            time.sleep(0.1)
            quiet = quiet + 1 if self._length() == length else 0
            length = self._length()
        lines = []
        if length:
            with open(self._log, encoding="ascii") as file:
                file.seek(self._at)
                lines = [line.split() for line in file]
        return len(lines), sum(int(words[2]) for words in lines), len({words[0] for words in lines})

    def cpu(self):
        """CPU seconds of nginx so far."""
        return cpu_of(self._process.pid) + sum(cpu_of(pid) for pid in children(self._process.pid))


def children(pid):
    try:
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
            return [int(word) for word in file.read().split()]
    except OSError:
        return []


def cpu_of(pid):
    """CPU seconds of one process so far, without its children; 0 if there is none."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as file:
            words = file.read().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    become_nginx(*sys.argv[1:])
