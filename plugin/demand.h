// SPDX-License-Identifier: BSD-3-Clause
// Copyright the httpcache authors
//
// demand.h - the blocks that readers wait for and nobody has asked for yet.
//
// Two kinds of readers wait.  One jumps: it asks for the next place only when it
// has this one, so each read lasts a round trip, and whatever the answer stands
// behind in a queue.  One streams: it has many reads under way and wants many
// bytes in the end.  Each kind is served in the order its blocks came, and the two
// take turns, as far as the fetcher lets streams go on.  While there are jumps, the
// queue is to be kept short (flow.h), and what streams ask for counts too.
//
// Threads: add() any; all else the engine's.  Ownership: of the blocks' pins, the
// fetcher's.  Errors: none; add() needs no memory, take_inbox() some.
#ifndef HTTPCACHE_DEMAND_H
#define HTTPCACHE_DEMAND_H

#include <array>
#include <cstddef>
#include <deque>
#include <optional>
#include <span>
#include <vector>

#include "block_cache.h"
#include "clock.h"
#include "mutex.h"

namespace httpcache {

class Demand {
public:
  enum class Reader { Jumping, Streaming };

  // No more than MOST blocks are ever wanted at a time.
  explicit Demand(size_t most);

  // In ascending order.
  void add(std::span<Block *const> blocks, Reader reader) EXCLUDES(mu_);

  // Looks for what was added.
  void take_inbox() EXCLUDES(mu_);

  bool empty() const { return queue(Reader::Jumping).empty() && queue(Reader::Streaming).empty(); }

  // Whose turn it is, of those that wait.
  std::optional<Reader> next(bool streams_may_go_on) const;

  // Takes off a run of consecutive blocks, at most MOST, of a reader that waits.
  void take(Reader reader, size_t most, std::vector<Block *> &run, TimePoint now);

  // Takes off one, of whatever reader; null if there is none.  Allocates nothing.
  Block *take_any() EXCLUDES(mu_);

  // Were there jumps of late?
  bool jumping(TimePoint now) const;

private:
  template <typename T> using OfEach = std::array<T, 2>;
  const std::deque<Block *> &queue(Reader reader) const {
    return queues_[static_cast<size_t>(reader)];
  }
  std::deque<Block *> &queue(Reader reader) { return queues_[static_cast<size_t>(reader)]; }

  // So many in kOfLate, two seconds: a single one is a table that a stream comes by.
  static constexpr size_t kJumps = 4;

  Mutex mu_;
  OfEach<std::vector<Block *>> inboxes_ GUARDED_BY(mu_);

  OfEach<std::vector<Block *>> taken_; // the inboxes, while they are gone through
  OfEach<std::deque<Block *>> queues_;
  Reader last_ = Reader::Streaming;
  std::array<TimePoint, kJumps> jumps_{}; // the last of them, a ring
  size_t next_jump_ = 0;
};

} // namespace httpcache

#endif
