// SPDX-License-Identifier: BSD-3-Clause
// Copyright the httpcache authors
//
// probe.h - the first request: what is at the URL, and the first blocks of it.
//
// One ranged GET (never HEAD: presigned URLs and many servers refuse it) gives
// in one exchange the size, the validator, proof that ranges work, and the
// first bytes.  run() returns as soon as its head is there and judged; the body
// goes on arriving, and whoever continues (Fetcher::adopt) takes over.
//
// On a long link, where the first connection's TCP handshake took kLongTrip or
// more, a few *scouts* set out at once beside it and ask for the blocks that
// follow.  Nobody knows yet whether they will be read, but the connections will
// be: a fresh one costs several round trips and its slow start, and images are
// opened by reading a little here and there.  (120 ms, 200 Mbit/s, HTTPS,
// compressed qcow2: the stream of qemu-img convert begins at 2.1 instead of 2.8 s.)
//
// Threads: drives ENGINE on the calling thread, before the engine has one of
// its own.  Transient failures are tried again as retry.h says, here with the
// caller waiting, and what a cache is suspected of once past caches (object.h); a
// scout's failure is nobody's concern.  Ownership: Found owns
// the arrivals, which must outlive their attempts or be handed over.  Errors: as
// object.h and http_engine.h make them.
#ifndef HTTPCACHE_PROBE_H
#define HTTPCACHE_PROBE_H

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "arrival.h"
#include "error.h"
#include "http_engine.h"
#include "object.h"
#include "retry.h"
#include "stats.h"

namespace httpcache {

class Probe {
public:
  struct Found {
    ObjectInfo object;
    size_t place = 0; // of the URLs, the number of that where it is
    // The first and the scouts', in the order of their bytes.  Those not done
    // must be handed over or cancelled before the engine's next turn.
    std::vector<std::unique_ptr<Arrival>> arrivals;
  };

  Probe(HttpEngine &engine, Stats &stats) : engine_(engine), stats_(stats) {}

  // Asks for bytes ASKED of the object at the first of URLS, its mirrors, that has it, and
  // with SCOUTS for as many stretches of the same length behind it.
  Result<Found> run(std::span<const std::string> urls, ByteSpan asked, unsigned scouts,
                    const RetryPolicy &policy);

private:
  Result<Found> try_once(const HttpRequest &request, unsigned scouts, Duration most);
  Result<ObjectInfo> judge(const Arrival &first) const;
  void send_scouts(const HttpRequest &request, unsigned scouts, Found &found);

  HttpEngine &engine_;
  Stats &stats_;
};

} // namespace httpcache

#endif
