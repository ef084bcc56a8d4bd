// SPDX-License-Identifier: BSD-3-Clause
// Copyright the httpcache authors
//
// image.h - one remote image: owns every part, and conducts each read.
//
// How this plugin works
// ---------------------
// nbdkit calls pread on many threads at once.  Each read cuts its range into
// blocks and claims them from the block cache (block_cache.h), where a block
// that is being fetched stands just as one that is complete.  Those that are
// new the reader hands to the fetcher as demand, all of them, before it waits
// for any; the readahead planner (readahead.h) is told of the read first, and
// knows whether it jumps or streams.  Then it takes its blocks in order: waits
// until the bytes that it wants of each have arrived, copies them out, lets go.
//
//   nbdkit threads                          the engine's thread
//   ──────────────                          ───────────────────
//   read ──> BlockCache::claim              Fetcher: which transfer next?
//        ──> Readahead::observe               demand, then what next_prefetch
//        ──> Fetcher::fetch  ──── inbox ──>   (planner + claim_ahead) gives
//        ──> BlockCache::wait <── wake ───  HttpEngine: libcurl ──> Transfer
//        copy, unpin                          ──> BlockCache::deliver
//
// One thread runs libcurl and decides what to ask for; it never waits for a
// reader and holds no lock while libcurl runs.  Readers wait for bytes or, with
// every block pinned, for room; nothing else.
//
// Glossary
// --------
// object      the remote file: effective URL, size, validator
// validator   what tells its versions apart: ETag, Last-Modified
// export      the bytes offset .. offset+size of the object that a client sees
// block       an aligned piece of the export: the unit of caching
// transfer    a run of consecutive blocks on its way, in one or more attempts
// attempt     one HTTP range request and its answer
// demand      somebody waits for it
// prefetch    nobody does, yet
// window      how far ahead of a sequential reader data is wanted
//
// Life: open() on nbdkit's main thread before the fork (probes the URL; errors
// reach the user), start() after the fork, read() and prefetch() from any
// number of threads, stop() when no reader is left.
#ifndef HTTPCACHE_IMAGE_H
#define HTTPCACHE_IMAGE_H

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "block_cache.h"
#include "config.h"
#include "error.h"
#include "fetcher.h"
#include "geometry.h"
#include "http_engine.h"
#include "locality.h"
#include "mutex.h"
#include "object.h"
#include "probe.h"
#include "readahead.h"
#include "stats.h"

namespace httpcache {

class Image final : private PrefetchSource {
public:
  static Result<std::unique_ptr<Image>> open(const Config &config);
  ~Image();

  // Once it has succeeded, nothing.
  Result<void> start() EXCLUDES(start_mu_);
  // Ends the engine and shows the statistics.  No read may be under way.
  void stop();

  uint64_t size() const { return geometry_.export_size(); }
  uint32_t block_size() const { return geometry_.block_size(); }
  // For clients: URL, size and validator, without secrets.
  std::string description() const;

  // Fills BUFFER with the export's bytes from OFFSET on, all or none of them.
  Result<void> read(std::span<char> buffer, uint64_t offset, CancelCheck &cancel);

  // NBD_CMD_CACHE: has the range fetched if there is room, and returns at once.
  void prefetch(uint64_t offset, uint64_t count) EXCLUDES(plan_mu_);

private:
  // Opened in this order: each part needs those before it.
  struct Opened {
    std::unique_ptr<Stats> stats;
    std::unique_ptr<HttpEngine> engine;
    Probe::Found found;
    Geometry geometry;
    Slab slab;
  };
  Image(const Config &config, Opened &&opened);

  Result<void> read_some(BlockRun &run, std::span<char> buffer, uint64_t offset,
                         bool first, CancelCheck &cancel);
  struct Planned {
    bool more = false;      // there is something to fetch ahead now
    bool streaming = false; // the read goes on with a sequential stream
  };
  Planned plan(uint64_t offset, uint64_t count, bool missed, bool waited) EXCLUDES(plan_mu_);

  size_t next_prefetch(std::span<Block *> out) override EXCLUDES(plan_mu_);
  size_t next_beyond(BlockIndex after, std::span<Block *> out) override EXCLUDES(plan_mu_);
  uint64_t most_ahead() const;
  bool prepare(uint64_t bytes) REQUIRES(plan_mu_);
  bool follow_up(const BlockRun &read) REQUIRES(plan_mu_);
  size_t claim_of(BlockRun &run, std::span<Block *> out, bool replace_unread, bool &no_room);
  void link_changed(uint64_t transfer_bytes, uint64_t ahead_bytes) override EXCLUDES(plan_mu_);

  const Config config_;
  const std::unique_ptr<Stats> stats_;
  const ObjectInfo object_;
  const Geometry geometry_;
  BlockCache cache_;
  const std::unique_ptr<HttpEngine> engine_;
  Fetcher fetcher_;
  Mutex start_mu_;
  bool started_ GUARDED_BY(start_mu_) = false;
  bool stopped_ = false;

  Mutex plan_mu_;
  Readahead readahead_ GUARDED_BY(plan_mu_);
  Locality locality_ GUARDED_BY(plan_mu_);
  std::deque<BlockRun> hints_ GUARDED_BY(plan_mu_); // by prefetch() and this class
  BlockIndex prepared_ GUARDED_BY(plan_mu_);         // prepare() goes on from here,
  unsigned preparations_ GUARDED_BY(plan_mu_) = 0;   // so many times
  unsigned waits_ GUARDED_BY(plan_mu_) = 0; // meanwhile, for blocks on their way

  // The engine's thread: what is left of the run that next_prefetch() is at.
  std::optional<Readahead::Plan> current_plan_;
  BlockRun current_run_;
};

} // namespace httpcache

#endif
