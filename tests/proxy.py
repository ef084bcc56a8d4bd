#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright the httpcache authors
"""Become a proxy on a port that nobody else can take meanwhile.

    proxy.py tinyproxy DIR [USER:PASSWORD]      an http proxy
    proxy.py stunnel DIR CERT KEY PORT          https in front of the http proxy at PORT
    proxy.py socks5 DIR                         this program itself: RFC 1928 without logins, for names and IPv4

Neither program takes over a socket that listens.  So a free port is held by one that does not, which lets others of SO_REUSEADDR
listen there but keeps the port from being given to somebody else, and which stays open in the program executed.  Prints
"ready PORT" when the port is known; the program listens once its log, DIR/KIND.log, says so."""

import os
import shutil
import socket
import sys
import threading

TINYPROXY = """\
Port {port}
Listen 127.0.0.1
Timeout 600
LogFile "{dir}/tinyproxy.log"
LogLevel Info
PidFile "{dir}/tinyproxy.pid"
MaxClients 100
Allow 127.0.0.1
{auth}
"""

STUNNEL = """\
foreground = yes
output = {dir}/stunnel.log
debug = notice
pid =
syslog = no
[proxy]
accept = 127.0.0.1:{port}
connect = 127.0.0.1:{behind}
cert = {cert}
key = {key}
"""


def copy(one, other):
    try:
        while data := one.recv(65536):
            other.sendall(data)
        other.shutdown(socket.SHUT_WR)
    except OSError:
        pass


def serve_socks(client, log):
    with client, client.makefile("rb", buffering=0) as file:
        file.read(file.read(2)[1])
        client.sendall(b"\5\0")
        kind = file.read(4)[3]
        host = socket.inet_ntoa(file.read(4)) if kind == 1 else file.read(file.read(1)[0]).decode()
        port = int.from_bytes(file.read(2), "big")
        try:
            server = socket.create_connection((host, port))
            reply = 0
        except ConnectionRefusedError:
            reply = 5
        except OSError:
            reply = 4
        print(f"CONNECT {host}:{port} {reply}", file=log, flush=True)
        client.sendall(bytes([5, reply, 0, 1, 0, 0, 0, 0, 0, 0]))
        if reply == 0:
            with server:
                back = threading.Thread(target=copy, args=(server, client))
                back.start()
                copy(client, server)
                back.join()


def socks(directory):
    with open(f"{directory}/socks5.log", "w", encoding="utf-8") as log, socket.create_server(("127.0.0.1", 0)) as listener:
        print("listening", file=log, flush=True)
        print("ready", listener.getsockname()[1], flush=True)
        while True:
            threading.Thread(target=serve_socks, args=(listener.accept()[0], log), daemon=True).start()


def main():
    kind, directory, *rest = sys.argv[1:]
    if kind == "socks5":
        socks(directory)
    holder = socket.socket(socket.AF_INET)
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    holder.bind(("127.0.0.1", 0))
    holder.set_inheritable(True)
    port = holder.getsockname()[1]
    os.environ["PATH"] = f"{os.environ['PATH']}:/usr/sbin:/sbin"
    config = f"{directory}/{kind}.conf"
    with open(config, "w", encoding="utf-8") as file:
        if kind == "tinyproxy":
            auth = "BasicAuth {} {}".format(*rest[0].split(":")) if rest else ""
            file.write(TINYPROXY.format(port=port, dir=directory, auth=auth))
        else:
            cert, key, behind = rest
            file.write(STUNNEL.format(port=port, dir=directory, cert=cert, key=key, behind=behind))
    print("ready", port, flush=True)
    arguments = ["-d", "-c", config] if kind == "tinyproxy" else [config]
    os.execv(shutil.which(kind), [kind, *arguments])


if __name__ == "__main__":
    main()
