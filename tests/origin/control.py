# SPDX-License-Identifier: BSD-3-Clause
# Copyright the httpcache authors
"""What a test can tell and ask the origin while it runs: requests below /_ctl/, which appear in no log and no counter.

COMMANDS is both the documentation (origin.py --help prints it) and the list of what there is."""

import json
import urllib.parse

from .answer import text_answer
from .faults import BadScript

COMMANDS = """\
Control: GET /_ctl/COMMAND, on the Unix socket of --control or on the public address.

  open?gate=NAME[&n=N]      open a gate for good, or for N requests
  close?gate=NAME           and close it again
  wait?WHAT=N[&path=P][&timeout=SECONDS]
                            answer once WHAT has come to N; 408 if that takes longer than 30 seconds or those given:
                              requests, answers, conns, sent: at least N (since the start or the last reset)
                              in_progress, open, stalled: exactly N
                              waiting (with gate=NAME): at least N requests wait at the gate
                              idle=1: no request is in progress
  stats                     JSON: all counters, and those of each path
  stat?key=KEY[&path=P]     one of them, as a bare number
  reset                     counters and selectors begin again
  faults?path=P&set=QUERY   faults of this path from now on, in place of those set before ("set=" alone: none)
  listen?mode=MODE[&times=N]  what becomes of new connections: ok, close, reset, hang, refuse, deaf
  drop                      end all connections that are open
  quit                      end
"""

_AT_LEAST = ("requests", "answers", "conns", "sent")
_EXACTLY = ("in_progress", "open", "stalled")


def _part(stats, path):
    """The counters of PATH, or of all; a path nobody has asked for has had 0 of everything."""
    return stats if path is None else stats["paths"].get(path, dict.fromkeys(stats, 0))


def _wait(server, args):
    seconds = float(args.pop("timeout", "30"))
    path = args.pop("path", None)
    gate = args.pop("gate", None)
    if len(args) != 1:
        raise BadScript("wait for one thing")
    (what, number), = args.items()
    number = int(number)
    if what in _AT_LEAST:
        holds = lambda s: _part(s, path)[what] >= number            # noqa: E731
    elif what in _EXACTLY:
        holds = lambda s: _part(s, path)[what] == number            # noqa: E731
    elif what == "idle":
        holds = lambda s: _part(s, path)["in_progress"] == 0        # noqa: E731
    elif what == "waiting" and gate:
        holds = lambda s: s["gates"].get(gate, {"waiting": 0})["waiting"] >= number     # noqa: E731
    else:
        raise BadScript(f"cannot wait for {what}")
    if not server.ledger.wait(holds, seconds):
        return text_answer(408, text=f"waited {seconds} s for {what}={number}: {json.dumps(server.ledger.stats())}")
    return text_answer(200)


def _command(server, name, args):
    ledger = server.ledger
    if name == "open":
        ledger.open_gate(args["gate"], int(args["n"]) if "n" in args else None)
    elif name == "close":
        ledger.close_gate(args["gate"])
    elif name == "wait":
        return _wait(server, args)
    elif name == "stats":
        return text_answer(200, text=json.dumps(ledger.stats(), indent=1))
    elif name == "stat":
        return text_answer(200, text=str(_part(ledger.stats(), args.get("path"))[args["key"]]))
    elif name == "reset":
        server.reset()
    elif name == "faults":
        server.set_faults(args["path"], args["set"])
    elif name == "listen":
        server.listener.set_mode(args["mode"], int(args["times"]) if "times" in args else None)
    elif name == "drop":
        for conn in ledger.connections():
            conn.drop()
    elif name == "quit":
        server.quit()
    else:
        raise BadScript(f"no such command: {name}")
    return text_answer(200)


def run(server, request):
    """The answer to a control request."""
    name = request.path[len("/_ctl/"):]
    args = dict(urllib.parse.parse_qsl(request.query, keep_blank_values=True))
    try:
        return _command(server, name, args)
    except (BadScript, KeyError, ValueError) as bad:
        return text_answer(400, text=f"origin: {name}: {type(bad).__name__}: {bad}")
