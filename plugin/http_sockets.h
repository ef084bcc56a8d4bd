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
// Errors: what cannot be opened is libcurl's to report.
#ifndef HTTPCACHE_HTTP_SOCKETS_H
#define HTTPCACHE_HTTP_SOCKETS_H

#include <map>
#include <optional>

#include "clock.h"

namespace httpcache {

class HttpSockets {
public:
  // Has the connections of EASY, a CURL*, opened and closed here.  False:
  // libcurl refuses.
  bool attach(void *easy);

  // The number of the connection of EASY, a CURL*; none if it has none, or one
  // that is closed, or a Unix socket.
  std::optional<unsigned> number_of(void *easy) const;
  // The same of a request that is over, Unix sockets too.
  std::optional<unsigned> number_of_ended(void *easy) const;

  size_t open() const { return numbers_.size(); }

  // Has libcurl find connection NUMBER dead, if it is open.
  void cut(unsigned number);

  // The round trip that TCP measured when it made a connection that is open
  // now; none while there is none, or over a Unix socket.
  std::optional<Duration> handshake_trip() const;

private:
  struct Callbacks; // libcurl's, which are C functions

  std::map<int, unsigned> numbers_; // by descriptor
  unsigned last_number_ = 0;
};

} // namespace httpcache

#endif
