// SPDX-License-Identifier: BSD-3-Clause
// Copyright the httpcache authors
//
// replacement.h - which block makes room for a new one.
//
// A convert streams the whole image through the cache once, while a few
// blocks of metadata (qcow2 L1, L2 and refcounts, a filesystem's inodes) are
// read again and again.  LRU would let the stream wash the metadata out.  This
// is S3-FIFO (Yang et al., SOSP 2023) with two changes that disk images ask for:
//
//      prefetched                  read once               read again
//     ┌──────────┐  first read  ┌──────────┐  used again ┌──────────┐
//     │  ahead   │ ───────────> │  small   │ ──────────> │   main   │ ─┐ used
//     └──────────┘              └──────────┘             └──────────┘ <┘ again
//                                     │                       │
//                                     └──────> ghosts <───────┘
//                                      (numbers only; one that returns
//                                       goes straight to main)
//
// 1. `ahead` holds prefetched blocks that nobody has read.  A scan's next
//    blocks must outlive those that it is done with, so they leave only when
//    nothing else is left, or through oldest_unread(), by which prefetch
//    replaces what it brought for streams that went elsewhere.
// 2. A use counts only if it is not of the same burst as the last one counted.
//    Eight 64 KiB reads of one block, mixed with reads of its neighbours, are
//    one visit of one reader; counted singly they would make every scanned
//    block look hot.  A burst lasts until burst_distance() other blocks have
//    been read for the first time since it began.  That is the cache's own
//    measure of time: hits cost no room, however many they are; and it runs on
//    from a burst's begin, so that what is used all the time counts too.
//
// `small` gets a tenth of the slots (the paper's figure), in a small cache up
// to half, once main is filled; until then it may have all.  Ghosts remember
// as many blocks as there are slots.  Everything is O(1) but victim(), which
// passes over blocks in use; those are few, as each is held by a thread that
// is copying from it.
//
// Threads: none; BlockCache calls it under its lock.  Memory: some 60 bytes a
// slot, allotted at construction.  Errors: none.
#ifndef HTTPCACHE_REPLACEMENT_H
#define HTTPCACHE_REPLACEMENT_H

#include <cstdint>
#include <optional>
#include <vector>

#include "geometry.h"
#include "slab.h"

namespace httpcache {

class Replacement {
public:
  explicit Replacement(uint32_t slots);

  // SLOT now holds BLOCK, complete.  WAS_READ: somebody has read from it
  // already; otherwise it was prefetched.
  void insert(SlotId slot, BlockIndex block, bool was_read);

  // A reader uses SLOT, which is in a queue.
  void touch(SlotId slot);

  // Takes the block out that is worth least and for which USABLE(slot) holds;
  // its slot is then in no queue.  Nothing when no block is usable.
  template <typename Usable> std::optional<SlotId> victim(Usable &&usable) {
    for (Where queue : order()) {
      // Each pass either evicts, or moves one block to the back or to main;
      // counts only fall, so main needs at most kMaxCount more rounds.
      uint32_t rounds = queues_[queue].size * (queue == kMain ? kMaxCount + 1 : 1);
      while (rounds-- > 0 && queues_[queue].size > 0) {
        SlotId slot = queues_[queue].head;
        if (!usable(slot))
          move_to_back(slot);
        else if (!spare(slot)) {
          forget(slot);
          return slot;
        }
      }
    }
    return std::nullopt;
  }

  // As victim(), but takes only the prefetched, unread block that came first.
  template <typename Usable>
  std::optional<SlotId> oldest_unread(Usable &&usable) {
    SlotId slot = queues_[kAhead].head;
    if (slot == kNone || !usable(slot))
      return std::nullopt;
    forget(slot);
    return slot;
  }

  // Is SLOT a prefetched block that nobody has read?
  bool is_unread(SlotId slot) const { return entries_[slot].where == kAhead; }

  uint32_t unread() const { return queues_[kAhead].size; }
  uint32_t size() const {
    return queues_[kAhead].size + queues_[kSmall].size + queues_[kMain].size;
  }
  uint32_t main_size() const { return queues_[kMain].size; }
  uint32_t burst_distance() const { return burst_distance_; }

private:
  enum Where : uint8_t { kAhead, kSmall, kMain, kNowhere };
  static constexpr SlotId kNone = UINT32_MAX;
  static constexpr uint8_t kMaxCount = 3; // as in the paper: two bits

  struct Entry {
    SlotId prev = kNone, next = kNone;
    uint64_t block = 0;
    uint32_t burst_start = 0; // value of first_reads_
    uint8_t count = 0; // bursts since it entered its queue, up to kMaxCount
    Where where = kNowhere;
  };
  struct Queue {
    SlotId head = kNone, tail = kNone; // out at the head, in at the tail
    uint32_t size = 0;
  };
  struct Ghost {
    uint32_t tag = 0;
    uint32_t when = 0; // value of departures_
  };
  struct Order {
    Where queue[4];
    const Where *begin() const { return queue; }
    const Where *end() const { return queue + 4; }
  };

  Order order() const;
  bool spare(SlotId slot);
  void forget(SlotId slot);
  void move_to_back(SlotId slot);
  void link(SlotId slot, Where where);
  void unlink(SlotId slot);
  Ghost &ghost_of(uint64_t block, uint32_t &tag);

  const uint32_t slots_;
  const uint32_t burst_distance_;
  std::vector<Entry> entries_;
  Queue queues_[3];
  uint32_t first_reads_ = 0; // of blocks that were absent or unread

  // One entry per hash value: a collision forgets the older ghost, which costs
  // one second chance and no correctness.
  std::vector<Ghost> ghosts_;
  uint32_t departures_ = 0;
};

} // namespace httpcache

#endif
