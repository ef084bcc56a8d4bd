#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright the httpcache authors
"""Become an nginx that listens on sockets it inherits, so that tests in parallel can never want the same port.

    nginx.py DIR ROOT CERT KEY [ORIGIN]

Binds five TCP sockets of 127.0.0.1 to whatever ports are free (HTTP, HTTPS, HTTPS with HTTP/2, HTTP/2 in clear, HTTPS
with HTTP/2 that sends each connection away after ten requests) and the Unix socket DIR/nginx.sock, prints "ready" and the
ports, and executes nginx in the foreground with a configuration in DIR that serves ROOT; below /pattern/ it passes on
what the HTTP server ORIGIN answers, as it comes.  Clients can connect from that line on: they wait in the backlog until
nginx accepts.  nginx takes the sockets over as it does when its binary is upgraded: the variable NGINX lists their
descriptors."""

import os
import socket
import sys

CONFIG = """\
daemon off;
worker_processes 1;     # not "master_process off": 1.22 then dies of inherited sockets
{user}
pid {dir}/nginx.pid;
error_log {dir}/nginx-error.log;
events {{ worker_connections 512; }}
http {{
    # One line for each request, written when it has ended.
    log_format tests 'method=$request_method uri=$request_uri range=$http_range status=$status '
                     'sent=$body_bytes_sent conn=$connection nth=$connection_requests http=$server_protocol '
                     'auth=$remote_user agent=$http_user_agent';
    access_log {dir}/nginx.log tests;
    client_body_temp_path {dir}/nginx-body;
    proxy_temp_path {dir}/nginx-proxy;
    fastcgi_temp_path {dir}/nginx-fastcgi;
    uwsgi_temp_path {dir}/nginx-uwsgi;
    scgi_temp_path {dir}/nginx-scgi;
    sendfile on;
    tcp_nopush on;
    keepalive_requests 100000;
    default_type application/octet-stream;
    ssl_certificate {cert};
    ssl_certificate_key {key};
    server {{
        listen 127.0.0.1:{ports[0]};
        listen 127.0.0.1:{ports[1]} ssl;
        listen 127.0.0.1:{ports[2]} ssl http2;
        listen 127.0.0.1:{ports[3]} http2;
        listen unix:{dir}/nginx.sock;
        root {root};
        {proxy}
    }}
    server {{
        listen 127.0.0.1:{ports[4]} ssl http2;
        keepalive_requests 10;
        root {root};
    }}
}}
"""


PROXY = "location /pattern/ {{ proxy_pass {origin}; proxy_http_version 1.1; proxy_buffering off; }}"


def main():
    directory, root, cert, key, *origin = sys.argv[1:]
    sockets = [socket.socket(socket.AF_INET) for _ in range(5)]
    for sock in sockets:
        sock.bind(("127.0.0.1", 0))
    ports = [sock.getsockname()[1] for sock in sockets]
    sockets.append(socket.socket(socket.AF_UNIX))
    sockets[-1].bind(f"{directory}/nginx.sock")
    for sock in sockets:
        sock.listen(512)
        sock.set_inheritable(True)
    config = f"{directory}/nginx.conf"
    with open(config, "w", encoding="utf-8") as file:
        file.write(CONFIG.format(dir=directory, root=root, cert=cert, key=key, ports=ports,
                                 proxy=PROXY.format(origin=origin[0]) if origin else "",
                                 user="user root;" if os.geteuid() == 0 else ""))
    print("ready", *ports, flush=True)
    os.environ["NGINX"] = "".join(f"{sock.fileno()};" for sock in sockets)
    os.environ["PATH"] = f"{os.environ['PATH']}:/usr/sbin:/sbin"
    os.execvp("nginx", ["nginx", "-e", f"{directory}/nginx-error.log", "-p", directory, "-c", config])


if __name__ == "__main__":
    main()
