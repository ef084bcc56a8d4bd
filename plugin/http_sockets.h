// SPDX-License-Identifier: BSD-3-Clause
// Copyright the httpcache authors
//
// http_sockets.h - the sockets of libcurl's connections.
//
// They are opened close-on-exec, which libcurl's own are not, so that nothing
// that nbdkit runs inherits them; and shut down before they are closed, because
// the process that nbdkit forked from may still hold a copy of the probe's.
// Each has a number, for traces and to tell who shares one.
//
// Threads: the one that drives the engine.  Must outlive the multi handle.
// Errors: what cannot be opened is libcurl's to report; Opener has the reason.
#ifndef HTTPCACHE_HTTP_SOCKETS_H
#define HTTPCACHE_HTTP_SOCKETS_H

#include <map>
#include <optional>
#include <string>

#include "clock.h"

namespace httpcache {

class HttpSockets {
public:
  // Of one handle, which it must outlive.
  struct Opener {
    HttpSockets &sockets;
    int error = 0; // errno, if none could be opened; the handle's user takes it back to 0
  };
  // Has the connections of EASY, a CURL*, opened and closed here.  False:
  // libcurl refuses.
  bool attach(void *easy, Opener &opener);

  // The number of the connection of EASY, a CURL*; none if it has none, or one
  // that is closed, or a Unix socket.
  std::optional<unsigned> number_of(void *easy) const;
  // The same of a request that is over, Unix sockets too.
  std::optional<unsigned> number_of_ended(void *easy) const;

  // To where the last one was opened: not those to a server that only redirected.
  size_t open() const;

  // Has libcurl find connection NUMBER dead, if it is open.
  void cut(unsigned number);

  // The round trip that TCP measured when it made a connection that is open
  // now; none while there is none, or over a Unix socket.
  std::optional<Duration> handshake_trip() const;

private:
  struct Callbacks; // libcurl's, which are C functions

  struct Socket {
    unsigned number;
    std::string peer; // its address, as it is in memory
  };

  std::map<int, Socket> sockets_; // by descriptor
  unsigned last_number_ = 0;
  std::string last_peer_;
};

} // namespace httpcache

#endif
