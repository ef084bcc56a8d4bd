// SPDX-License-Identifier: BSD-3-Clause
// Copyright the httpcache authors
//
// locality.h - whether what lies behind a missed block is soon read too.
//
// A guest that boots jumps about, but reads many places in pieces: what follows
// a block that it missed is often wanted next, and comes almost for free with
// the request that a round trip is paid for.  A database or a random benchmark
// never comes back, and for it the extra bytes only fill the wire.  So every
// demand transfer that was made longer than asked is remembered for a while,
// and how many of them turned out useful decides about the next.  Once one is
// read from, more of what lies behind it is worth having.
//
// Threads: none; Image calls it under its planner's lock.  Costs: a read looks
// at the kTrials last extensions.  Errors: none.
#ifndef HTTPCACHE_LOCALITY_H
#define HTTPCACHE_LOCALITY_H

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "geometry.h"

namespace httpcache {

class Locality {
public:
  // A client reads these blocks.  If they are the first to be read of an
  // extension, returns its end: what follows there is worthwhile.
  std::optional<BlockIndex> read(const BlockRun &run);

  // Is the transfer about to start worth making longer?  When it has not been of
  // late, one in kRetry is all the same, to notice that the reader has changed.
  bool worthwhile();

  // It was, by RUN; or RUN was fetched behind an extension.
  void extended(const BlockRun &run);

private:
  static constexpr size_t kTrials = 32;

  struct Trial {
    BlockRun run;
    bool useful = false;
  };

  std::array<Trial, kTrials> trials_{}; // a ring; run.count 0: none yet
  size_t next_ = 0;
  unsigned made_ = 0;     // of those in the ring
  unsigned useful_ = 0;
  unsigned declined_ = 0; // in a row
};

} // namespace httpcache

#endif
