// SPDX-License-Identifier: BSD-3-Clause
// Copyright the httpcache authors
//
// readahead.h - what is worth fetching before anybody asks for it.
//
// A pure planner: observe() is told of every read, next() is asked by the
// fetcher whenever it could start another transfer.  Prefetch is thus *pulled*
// when the link has room, never queued: a plan that is not yet a request costs
// no memory, need not be cancelled when the reader jumps, and cannot stand in
// the way of a demand read.
//
// A *stream* is a region that advances, not "this offset equals the last end":
// eight qemu coroutines, sixteen nbdkit threads or four NBD connections that
// read one file in turns come in any order, and are one stream.
//
//      start            pos                         ahead
//        │ have been read│ window: asked for, unread │
//   ─────┴───────────────┴───────────────────────────┴──────────> offset
//
// A read belongs to the stream whose pos lies nearest, if it begins within
// reach(count) before or behind pos.  (Not if it is merely in the window: that
// may be another connection that begins its slice there.)  A stream is worth
// readahead from the second read on that moves pos forward, as long as at
// least half of the bytes it passes over are read (kDense): so random, strided
// and backward reads get nothing, however near to each other they fall.
//
// The window starts small, and at least doubles when the reader had to wait for
// bytes beyond those that the last doubling planned: the reader has caught up.
// It grows with what the stream has read also when nobody waits.  It is bounded by
// what the link can use and the cache can hold (set_bounds), and by an equal share
// of the budget for each stream that has a window; with several of them, some is
// kept free for what was fetched behind a slice's border.
// A new run is planned when a whole transfer, or half of the window, has room.
//
// A window ends where another stream has been: clients copy a file in slices
// side by side (nbdcopy: 128 MiB each), and what lies behind the border has
// been read already or is being read.
//
// Costs: observe() and next() are O(log streams), whatever the export's size; a
// new stream also moves some KiB of a sorted list.
// Threads: none; Image calls it under a lock of its own.  Units: bytes, as
// offsets into the export.  Errors: none.
#ifndef HTTPCACHE_READAHEAD_H
#define HTTPCACHE_READAHEAD_H

#include <cstdint>
#include <optional>
#include <vector>

#include "geometry.h"

namespace httpcache {

class Readahead {
public:
  struct Bounds {
    uint64_t max_window = 0;     // of one stream; 0 turns readahead off
    uint64_t budget = 0;         // of all windows together
    uint64_t transfer_bytes = 0; // what one transfer should bring

    // Of a cache that has room for HELD bytes of windows, a user who lets one take
    // MOST, and a link that can use AHEAD in transfers of TRANSFER (flow.h).
    static Bounds of(uint64_t held, uint64_t most, uint64_t transfer, uint64_t ahead);
  };
  // A run worth fetching.  STREAM and GENERATION are for give_back().
  struct Plan {
    BlockRun run;
    uint32_t stream = 0;
    uint32_t generation = 0;
  };

  Readahead(const Geometry &geometry, const Bounds &bounds);

  // A client reads [offset, offset + count), count > 0.  WAITED: not all of it
  // was there.  True when next() has something to give; not while a stream is
  // ready that must wait for room in the budget.
  bool observe(uint64_t offset, uint64_t count, bool waited);

  // Did the read observed last go on with a stream that has a window?
  bool streaming() const { return streaming_; }

  // The next run, at most transfer_bytes long.  The stream counts it as asked
  // for; some of it may be in the cache already.
  std::optional<Plan> next();

  // The last BLOCKS blocks of PLAN were not fetched after all (no room).
  void give_back(const Plan &plan, uint64_t blocks);

  void set_bounds(const Bounds &bounds) { bounds_ = bounds; }
  const Bounds &bounds() const { return bounds_; }

  // How far from pos a read of COUNT bytes may begin and still be of the stream.
  static uint64_t reach(uint64_t count);

  // For tests and traces.
  size_t streams() const { return by_pos_.size(); }
  std::vector<uint64_t> positions() const; // ascending: where each goes on
  uint64_t outstanding() const { return outstanding_; }

private:
  using Id = uint32_t;
  static constexpr Id kNone = UINT32_MAX;

  struct Stream {
    uint64_t start = 0;
    uint64_t pos = 0;       // end of the furthest read
    uint64_t ahead = 0;     // asked for up to here; >= pos once it has a window
    uint64_t window = 0;    // 0: none (yet)
    uint64_t grow_mark = 0; // waiting beyond this doubles the window
    uint64_t span = 0;      // bytes passed over, halved now and then,
    uint64_t covered = 0;   // and how many of them were read
    uint64_t last_use = 0;  // value of reads_
    uint64_t border = 0;    // end_of_window() as of
    uint64_t border_version = 0;
    uint32_t advances = 0;  // reads that moved pos
    uint32_t generation = 0;
    bool ready = false;  // in ready_
    bool queued = false; // in idle_
    bool landed = false; // in by_start_: others' windows end at start
    Id older = kNone, newer = kNone; // by last use
  };

  struct Idle {
    uint64_t last_use;
    Id id;
    // In a heap the oldest is on top.
    bool operator<(const Idle &other) const { return last_use > other.last_use; }
  };

  // Of a list in ascending order of KEY, which is a copy of the stream's: a search
  // would otherwise fetch ten streams from far apart.
  struct Place {
    uint64_t key;
    Id id;
  };
  static constexpr size_t kNoPlace = SIZE_MAX;
  static size_t count_below(const std::vector<Place> &order, uint64_t key);
  static size_t place_in(const std::vector<Place> &order, uint64_t key, Id id);
  static void rekey(std::vector<Place> &order, size_t place, uint64_t key);

  size_t find(uint64_t offset, uint64_t count) const;
  Id create(uint64_t offset, uint64_t count);
  void advance(size_t place, uint64_t offset, uint64_t count, bool waited);
  void move_pos(size_t place, uint64_t pos);
  void set_ends(Id id, uint64_t pos, uint64_t ahead);
  void queue_idle(Id id);
  void abandon(Id id);
  void note_use(Id id);
  void unlink_use(Id id);
  uint64_t room_of(Stream &stream) const;
  uint64_t end_of_window(Stream &stream) const;
  uint64_t round_up(uint64_t offset) const;
  void make_ready(Id id);
  void retire_idle();
  uint64_t next_bytes(Stream &stream) const;
  bool over_budget(uint64_t bytes) const;
  bool stalled();
  bool find_idle();
  bool reclaim();

  const Geometry geometry_;
  Bounds bounds_;
  std::vector<Stream> streams_;
  std::vector<Place> by_pos_;   // by pos
  std::vector<Place> by_start_; // by start; streams that have read a lot
  uint64_t starts_version_ = 1; // of by_start_
  std::vector<Id> ready_;    // a ring of those with room, first come first served
  size_t ready_first_ = 0, ready_count_ = 0;
  std::vector<Idle> idle_; // a heap: those with ahead > pos, and some that had
  Id oldest_ = kNone, newest_ = kNone;
  Id hand_ = 0; // of retire_idle()
  uint64_t reads_ = 0;
  uint64_t outstanding_ = 0; // sum of ahead - pos
  uint32_t windows_ = 0;     // streams with ahead > pos
  bool streaming_ = false;
};

} // namespace httpcache

#endif
