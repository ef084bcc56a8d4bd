# SPDX-License-Identifier: BSD-3-Clause
# Copyright the httpcache authors
"""The places that the image is at: for each a web server, behind a link of its own to the one client.

Places is a context manager, with the figures of all places together: mark() and seen() as of one web server, used() since
the start."""

import contextlib

from link import Link, Loopback
from webserver import WebServer, cpu_of


class Places:
    def __init__(self, shape, control, root, folder):
        self._shape, self._control, self._root, self._folder = shape, control, root, folder

    def __enter__(self):
        self._links, self._servers, self.client_namespace = [], [], None
        with contextlib.ExitStack() as stack:
            for number in range(self._shape.places):
                link = stack.enter_context(self._link(number))
                self.client_namespace = link.client_namespace
                self._links.append(link)
                self._servers.append(stack.enter_context(WebServer(link, self._root)))
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_):
        self._stack.close()

    def _link(self, number):
        if not self._shape.rate:
            return Loopback()
        return Link(self._shape, self._control, self._folder, number, self.client_namespace)

    def urls(self, protocol, name):
        """Of that file, one for each place."""
        return [server.urls[protocol] + name for server in self._servers]

    def mark(self):
        for server in self._servers:
            server.mark()

    def seen(self):
        """Requests, bytes of bodies, and connections since mark()."""
        return tuple(map(sum, zip(*(server.seen() for server in self._servers))))

    def used(self):
        """CPU seconds of the web servers and of the links, and packets lost."""
        return (sum(server.cpu() for server in self._servers), sum(cpu_of(link.pid) for link in self._links if link.pid),
                sum(link.dropped() for link in self._links))
