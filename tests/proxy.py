#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright the httpcache authors
"""Become a proxy on a port that nobody else can take meanwhile.

    proxy.py tinyproxy DIR [USER:PASSWORD]      an http proxy
    proxy.py stunnel DIR CERT KEY PORT          https in front of the http proxy at PORT

Neither takes over a socket that listens.  So a free port is held by one that does not, which lets others of SO_REUSEADDR
listen there but keeps the port from being given to somebody else, and which stays open in the program executed.  Prints
"ready PORT" when the port is known; the program listens once its log, DIR/KIND.log, says so."""

import os
import shutil
import socket
import sys

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


def main():
    kind, directory, *rest = sys.argv[1:]
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
