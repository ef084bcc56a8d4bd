#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright the httpcache authors
"""A scriptable HTTP/1.1 origin for the tests: it serves byte ranges fast and honestly, misbehaves on the wire just as
the query of the URL says, and writes down what it was asked, so that tests count requests instead of seconds.

How the parts lie: origin/objects.py what is served, faults.py the table of faults and when they apply, answer.py one
answer and its way onto the wire, server.py listeners and connections, ledger.py log, counters and gates, control.py
what a test can say at run time.  Python's standard library only.

    origin.py --root DIR --log DIR/log --control DIR/ctl --port-file DIR/port
    curl -r 0-99 'http://127.0.0.1:PORT/pattern/5T?cut=50&times=1'
    curl --unix-socket DIR/ctl 'http://origin/_ctl/stat?key=requests'

When it is listening it writes the port to the port file (by rename, so that the file is never half there) and to
its standard output, in a line "ready PORT".  It ends on SIGTERM, on /_ctl/quit, and with the process --parent."""

import argparse
import os
import ssl
import sys

sys.dont_write_bytecode = True      # the source folder may be read-only, and is nobody's to litter

# pylint: disable=wrong-import-position
from origin import control, faults, ledger, objects, server     # noqa: E402


def parse_args():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=f"{faults.TABLE}\n{control.COMMANDS}\nObjects and log:\n\n{objects.__doc__}\n\n{ledger.__doc__}")
    parser.add_argument("--root", default=".", help="files below this folder are served")
    parser.add_argument("--unix", metavar="PATH", help="listen on this Unix socket, not on TCP 127.0.0.1 port 0")
    parser.add_argument("--tls", nargs=2, metavar=("CERT", "KEY"), help="PEM files: speak HTTPS")
    parser.add_argument("--client-ca", metavar="CA", help="ask for a client certificate signed by CA")
    parser.add_argument("--tls-max", metavar="VERSION", help="the most TLS spoken: TLSv1_2, TLSv1_3")
    parser.add_argument("--control", metavar="PATH", help="Unix socket for /_ctl/")
    parser.add_argument("--port-file", metavar="FILE", help="write the port there once listening")
    parser.add_argument("--log", metavar="FILE", help="append to this log")
    parser.add_argument("--log-headers", action="store_true", help="log the headers of each request as well")
    parser.add_argument("--send-buffer", type=int, default=0, metavar="BYTES",
                        help="of the kernel for each connection: bounds what is sent and not taken")
    parser.add_argument("--seed", type=int, help="of what is random in faults")
    parser.add_argument("--parent", type=int, metavar="PID", help="end when this process has ended")
    return parser.parse_args()


def tls_context(args):
    if not args.tls:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*args.tls)
    if args.tls_max:
        context.maximum_version = ssl.TLSVersion[args.tls_max]
    if args.client_ca:
        context.load_verify_locations(args.client_ca)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def main():
    args = parse_args()
    if args.seed is not None:
        faults.seed(args.seed)
    listener = server.Listener(args.unix, args.send_buffer)
    origin = server.Server(args.root, ledger.Ledger(args.log, args.log_headers), listener, tls_context(args))
    if args.port_file:
        draft = f"{args.port_file}.{os.getpid()}"
        with open(draft, "w", encoding="ascii") as file:
            file.write(f"{listener.port}\n")
        os.rename(draft, args.port_file)
    origin.run(args.control, args.parent, lambda: print(f"ready {listener.port}", flush=True))
    sys.stdout.flush()
    os._exit(0)                     # threads that stall for ever are not waited for


if __name__ == "__main__":
    main()
