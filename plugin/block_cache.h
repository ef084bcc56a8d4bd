// SPDX-License-Identifier: BSD-3-Clause
// Copyright the httpcache authors
//
// block_cache.h - the one table of the blocks that exist.
//
// A block in the table is *arriving* (memory allotted, a transfer fills it
// from its start; `arrived` is the watermark) or *complete*.  That a block is
// being fetched is thus a state of a cached block, and two readers of one
// block share one fetch whichever came first: the second finds the entry that
// the first made.  A block whose fetch failed leaves the table at once, so
// that the next read tries afresh, but its memory stays until the last reader
// that holds it has gone (*detached*).
//
//                 claim: New                deliver: all bytes
//     (absent) ───────────────> arriving ─────────────────────> complete
//         ^                        │ fail                          │ evicted
//         │                        v                               │
//         └──── last unpin ──── detached                           │
//         └────────────────────────────────────────────────────────┘
//
// Readers.  claim() finds or makes the blocks of a run and pins them; a pinned
// block is never evicted.  The caller hands those that are New to the fetcher
// before it waits for anything.  wait() returns once the watermark covers the
// bytes that *this* reader wants, which may be long before the block is
// complete.  unpin() lets go.
//
// No deadlock, however small the cache: a reader waits for room only while it
// pins nothing.  claim() takes as many blocks as it can get without waiting;
// a caller that got only some serves itself from those, unpins them and comes
// again.  Each pinned block is thus held by somebody who waits at most for the
// network.  Waiters for room are served first come, first served, and newcomers
// do not overtake them.
//
// The fetcher's side (one thread, the engine's) holds a pin of its own on each
// arriving block, from claim() until deliver() completes it or fail().
//
// Locks.  mu_ guards the table, states and queues; it is held for a few
// pointer moves at a time, never for a copy.  Each block's waiters are guarded
// by one of kStripes wait mutexes (by slot).  No two locks are ever held
// together.  Two counters are read without a lock, both by the same pattern
// (publish mine, then look at yours, sequentially consistent on both sides;
// with anything weaker a wake-up is lost now and then):
//   - deliver() stores `arrived`, then reads `wanted`;   wait() the reverse;
//   - unpin() drops `pins`, then reads room_waiters_;    claim() the reverse.
//
// Ownership: blocks belong to the cache; a Block* is valid while pinned.
// Errors: wait() and claim() give what made the fetch fail, or Cancelled.
#ifndef HTTPCACHE_BLOCK_CACHE_H
#define HTTPCACHE_BLOCK_CACHE_H

#include <array>
#include <atomic>
#include <memory>
#include <span>
#include <vector>

#include "error.h"
#include "geometry.h"
#include "mutex.h"
#include "replacement.h"
#include "slab.h"
#include "stats.h"

namespace httpcache {

// Asked now and then by a thread that waits: should it give up?  For nbdkit
// threads: is the server shutting down, has the client gone?  Called without
// locks, at most every kCancelPoll.
class CancelCheck {
public:
  virtual bool cancelled() = 0;

protected:
  ~CancelCheck() = default;
};

class Block {
public:
  BlockIndex index() const { return index_; }
  uint32_t length() const { return length_; }
  const char *data() const { return data_; }
  // Bytes from the start that are there.  Whoever saw N may read N bytes.
  uint32_t arrived() const { return arrived_.load(std::memory_order_acquire); }

private:
  friend class BlockCache;
  struct Waiter;
  enum class State : uint8_t { Free, Arriving, Complete, Detached };
  static constexpr uint32_t kNobody = UINT32_MAX;

  // Constant while the block is in the table or pinned.
  BlockIndex index_;
  uint32_t length_ = 0;
  SlotId slot_ = 0;
  char *data_ = nullptr;

  // Set by the engine's thread, read by waiting readers.
  std::atomic<uint32_t> arrived_{0};
  // Lowest watermark that a waiter waits for.  Written under the wait mutex.
  std::atomic<uint32_t> wanted_{kNobody};
  // Taken under mu_, dropped without.
  std::atomic<uint32_t> pins_{0};
  std::atomic<bool> detached_{false};

  // Guarded by mu_.
  State state_ = State::Free;
  bool prefetched_ = false; // brought by prefetch and not yet read
  bool read_ = false;       // some reader has claimed it
  Block *hash_next_ = nullptr;

  // Guarded by the block's wait mutex.
  Waiter *waiters_ = nullptr;
  std::shared_ptr<const Error> failure_;
};

class BlockCache {
public:
  enum class Found : uint8_t {
    Complete, // all of it is there
    Arriving, // another's fetch is under way: joined
    New,      // the caller must have it fetched
  };
  // Set by claim(), not by a constructor: readers bring room for many.
  struct Claim {
    Block *block;
    Found found;
  };

  // How often a waiting thread asks its CancelCheck.  Waits end by being woken;
  // this bounds how late a shutdown is noticed, and how late one that stands in
  // line for room behind others sees that its block has come meanwhile.
  static constexpr Duration kCancelPoll = std::chrono::milliseconds(200);

  // GEOMETRY tells block lengths.  The slab's slots are the cache's capacity.
  BlockCache(const Geometry &geometry, Slab slab, Stats &stats);
  ~BlockCache();
  BlockCache(const BlockCache &) = delete;

  // --- Readers: any thread ---

  // Pins the first blocks of RUN, in order, as many as fit OUT and have room;
  // tells how many.  With WAIT at least one, however long that takes: the
  // caller then must pin nothing else.
  Result<size_t> claim(BlockRun run, std::span<Claim> out, bool wait,
                       CancelCheck &cancel) EXCLUDES(mu_);

  // Waits until the first NEED bytes of the pinned BLOCK are there.
  Result<void> wait(Block &block, uint32_t need, CancelCheck &cancel);

  void unpin(Block &block) EXCLUDES(mu_);

  // --- Prefetch: any thread ---

  // Makes and pins entries for the first blocks of RUN as long as they are
  // absent, at most OUT.size(), for the caller to have fetched; tells how many.
  // Never waits, and gives none while readers wait for room.  Unread
  // prefetched blocks, with those still arriving, hold at most half the cache;
  // with REPLACE_UNREAD those that have lain there longest make room then,
  // without it memory that was never used may be taken beyond that.
  size_t claim_ahead(BlockRun run, std::span<Block *> out, bool replace_unread) EXCLUDES(mu_);

  // How many blocks from RUN's first on are in the table (LOOK_FOR_PRESENT) or
  // are not.  At most RUN.count.
  uint64_t count_leading(BlockRun run, bool look_for_present) EXCLUDES(mu_);

  // --- The engine's thread ---

  // BYTES of BLOCK from byte AT on have come.  What is already there is passed
  // over; there must be no gap.  The last byte completes the block and drops
  // the fetcher's pin: BLOCK is not the caller's any more then (returns true).
  bool deliver(Block &block, uint32_t at, std::span<const char> bytes)
      EXCLUDES(mu_);

  // BLOCK will not be completed.  Wakes its waiters with ERROR, drops the
  // fetcher's pin.
  void fail(Block &block, std::shared_ptr<const Error> error) EXCLUDES(mu_);

  // The same, but if a reader has claimed BLOCK it stays as it is: false.
  bool fail_unless_wanted(Block &block, std::shared_ptr<const Error> error) EXCLUDES(mu_);

  uint32_t capacity() const { return capacity_; }
  // Most blocks that prefetch may hold unread, arriving ones included.
  uint32_t ahead_limit() const { return ahead_limit_; }
  uint64_t peak_bytes() EXCLUDES(mu_);
  // Prefetched blocks that nobody has read so far, in the cache now.
  uint32_t unread() EXCLUDES(mu_);

private:
  static constexpr size_t kStripes = 64;
  struct RoomWaiter;

  Block *find(BlockIndex index) REQUIRES(mu_);
  enum class For : uint8_t { Demand, Prefetch, PrefetchIfRoom };
  Block *make(BlockIndex index, For purpose) REQUIRES(mu_);
  void erase(Block &block) REQUIRES(mu_);
  void detach(Block &block) REQUIRES(mu_);
  void tell_failure(Block &block, std::shared_ptr<const Error> error) EXCLUDES(mu_);
  void pin_found(Block &block, Claim &claim) REQUIRES(mu_);
  bool usable(SlotId slot) const REQUIRES(mu_);
  size_t claim_some(BlockRun run, std::span<Claim> out) REQUIRES(mu_);
  void notify_room() REQUIRES(mu_);
  void drop_pin_slowly(Block &block) EXCLUDES(mu_);
  void complete(Block &block) EXCLUDES(mu_);
  void wake(Block &block);
  size_t bucket_of(BlockIndex index) const;
  Mutex &wait_mutex(const Block &block) {
    return wait_mutexes_[block.slot_ % kStripes];
  }

  const Geometry geometry_;
  const uint32_t capacity_;
  const uint32_t ahead_limit_;
  Stats &stats_;

  Mutex mu_;
  Slab slab_ GUARDED_BY(mu_);
  Replacement replacement_ GUARDED_BY(mu_);
  std::vector<Block> blocks_; // by slot; members guarded as Block says
  const size_t bucket_mask_;
  std::vector<Block *> buckets_ GUARDED_BY(mu_);
  uint32_t arriving_ahead_ GUARDED_BY(mu_) = 0;
  RoomWaiter *room_first_ GUARDED_BY(mu_) = nullptr;
  RoomWaiter *room_last_ GUARDED_BY(mu_) = nullptr;
  std::atomic<uint32_t> room_waiters_{0}; // written under mu_

  std::array<Mutex, kStripes> wait_mutexes_;
};

} // namespace httpcache

#endif
