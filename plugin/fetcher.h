// SPDX-License-Identifier: BSD-3-Clause
// Copyright the httpcache authors
//
// fetcher.h - brings blocks: which first, in what transfers, until done.
//
// A *transfer* (transfer.h) fills a run of consecutive blocks, in order, with as many
// attempts (http_engine.h) as it takes: an answer that is shorter than asked,
// or breaks off, is resumed from the byte it reached; a Transient failure is
// tried again after the wait that retry.h says, during which it holds neither
// a connection nor a thread; one whose connection is far slower than the link
// is asked for again on another.  Bytes go straight into the cache's blocks, and
// their readers are served as they come.
//
// Demand (demand.h) goes before prefetch, neighbours joined into one transfer, and
// what follows added to it if that costs no more than the round trip.  When every
// connection is in use, one that is about to be free is waited for rather than a
// new one made, whose handshakes and slow start take longer.  Prefetch is asked for
// (PrefetchSource) only while no demand waits, unless for such a connection, while
// connections beyond the reserved ones are free, and the bytes in flight are below
// what the link can use (flow.h).
//
// A prefetch that fails is silent and makes prefetch pause; its blocks leave
// the table, but those that a reader has joined are demand from then on.  Once an
// answer shows that the object has changed, nothing more is asked for: every
// block still wanted fails with that error.
//
// Where redirects led the probe is asked from then on; what is done when that comes
// to refuse, and when the server is in trouble, route.h decides for all transfers.
// Those that must wait for it are in line, also those that nobody has asked for yet,
// and fail with the attempts that others make.
//
// The object may be in several places (mirrors.h).  What one of them refuses, fails at
// or is too slow with is asked of another, at once; it fails when all have.  Only that
// all have changed is a change.
//
// Threads: fetch() and poke() any; all else on the engine's (http_engine.h).
// Ownership: an arriving block handed in carries the fetcher's pin, which ends
// with BlockCache::deliver() or fail().  Errors go to the blocks' readers.
#ifndef HTTPCACHE_FETCHER_H
#define HTTPCACHE_FETCHER_H

#include <atomic>
#include <memory>
#include <optional>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "arrival.h"
#include "block_cache.h"
#include "demand.h"
#include "error.h"
#include "geometry.h"
#include "http_engine.h"
#include "mirror_checks.h"
#include "mirrors.h"
#include "object.h"
#include "retry.h"
#include "stats.h"
#include "transfer.h"

namespace httpcache {

// Where prefetch comes from.  Called on the engine's thread.
class PrefetchSource {
public:
  // Claims blocks worth fetching now, consecutive ones, at most OUT.size();
  // tells how many.
  virtual size_t next_prefetch(std::span<Block *> out) = 0;
  // Claims the blocks that follow AFTER, which a reader waits for, if they are
  // worth asking for with it; as next_prefetch().
  virtual size_t next_beyond(BlockIndex after, std::span<Block *> out) = 0;
  // What a transfer should bring from now on, and how much may be fetched ahead.
  virtual void link_changed(uint64_t transfer_bytes, uint64_t ahead_bytes) = 0;

protected:
  ~PrefetchSource() = default;
};

class Fetcher final : private HttpEngine::Client, private Transfer::Owner {
public:
  // All must outlive the fetcher, but ENGINE must be stopped before it ends.  URLS
  // are the mirrors, that at FIRST is where OBJECT was found.
  Fetcher(HttpEngine &engine, BlockCache &cache, PrefetchSource &source,
          const Geometry &geometry, const ObjectInfo &object,
          std::span<const std::string> urls, size_t first, bool ignore_etag,
          unsigned connections, const RetryPolicy &policy, Stats &stats);
  ~Fetcher();

  // BLOCKS are New (BlockCache::claim), in ascending order; READER waits for them.
  void fetch(std::span<Block *const> blocks, Demand::Reader reader);

  // The source may have something now.  Wakes the engine only if it was told
  // "nothing" before.
  void poke();

  // Takes over ARRIVAL, which brings BLOCK, freshly claimed.  Before the
  // engine's thread starts.
  void adopt(const Arrival &arrival, Block &block);

  // Asks the other mirrors whether they have the object, for as long as they may be
  // waited for; warns of those that do not.  Before the engine's thread starts.
  void check_mirrors();

private:
  TimePoint on_turn(TimePoint now) override;
  void on_no_memory() noexcept override;
  TimePoint next_turn(TimePoint now) const;
  void take_inbox();
  void line_up_demand(TimePoint now);
  void start_waiting(TimePoint now);
  bool start_one_waiting(TimePoint now);
  void start_demand(TimePoint now);
  bool streams_may_go_on() const;
  bool soon_a_free_connection(const Mirror &mirror, TimePoint now);
  void add_what_follows(const Mirror &mirror);
  void start_prefetch(TimePoint now);
  bool start_one_prefetch(TimePoint now);
  Transfer &new_transfer(std::span<Block *const> blocks, bool demand);
  void start(Transfer &transfer, Mirror &mirror, TimePoint now);
  void accepted(Transfer &transfer, const std::string &effective_url) override;
  void arrived(Transfer &transfer, uint64_t bytes, TimePoint now) override;
  void ended(Transfer &transfer, const HttpOutcome &outcome) override;
  void recycle(Transfer &transfer);

  // laggards.cc
  // How often they are looked for.
  static constexpr Duration kLookTick = std::chrono::milliseconds(100);
  void overtake_laggards(TimePoint now);
  void replace_slow(TimePoint now);
  void leave_silent(TimePoint now);
  void ask_again(Transfer &transfer, TimePoint now, Mirrors::Set avoided = 0);

  // setbacks.cc
  void failed(Transfer &transfer, Error error, TimePoint now);
  bool leave_mirror(Transfer &transfer, Error &error, bool doubt, TimePoint now);
  void failed_with(const Transfer &other, const Error &error, TimePoint now);
  std::optional<uint32_t> wait_or_give_up(Transfer &transfer, Error error, TimePoint now);
  void give_up(Transfer &transfer, const std::shared_ptr<const Error> &error);
  void give_up_on_all();
  void give_up_on_late(TimePoint now);
  uint64_t left_ms(const Transfer &transfer, TimePoint now) const;
  uint64_t least_left_ms(TimePoint now) const;
  double chance();

  HttpEngine &engine_;
  BlockCache &cache_;
  PrefetchSource &source_;
  const Geometry geometry_;
  const RetryPolicy policy_;
  Stats &stats_;

  Demand demand_; // not yet asked for
  std::atomic<bool> hungry_{false}; // the source last gave nothing

  // The engine's thread only.
  Mirrors mirrors_;
  MirrorChecks checks_;
  bool only_checks_ = false;
  std::vector<std::unique_ptr<Transfer>> transfers_; // running or waiting to retry
  std::vector<std::unique_ptr<Transfer>> spare_;
  std::vector<Block *> batch_; // claimed, for a transfer that is being made
  uint64_t told_transfer_ = 0, told_limit_ = 0, told_ahead_ = 0;
  TimePoint no_prefetch_before_{};
  TimePoint next_slow_check_{};
  std::optional<TimePoint> held_since_; // demand, for a connection to be free
  unsigned prefetch_failures_ = 0; // in a row
  std::shared_ptr<const Error> gone_; // the object has changed
  std::optional<Error> trouble_;      // the last that all wait for
  TimePoint next_warning_{};          // of readers that wait, not before
  const std::shared_ptr<const Error> no_memory_; // made while there is some
  std::minstd_rand random_;
};

} // namespace httpcache

#endif
