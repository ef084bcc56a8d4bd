// SPDX-License-Identifier: BSD-3-Clause
// Copyright the httpcache authors

#include "replacement.h"

#include <algorithm>
#include <bit>
#include <cassert>

namespace httpcache {

namespace {

// First reads of other blocks within which a block's uses are one burst.
// qemu's eight coroutines and nbdkit's sixteen threads a connection reorder a
// stream by less than this, and so many streams may take turns; metadata comes
// back after more.  A small cache turns over sooner, so there it is half of
// its blocks.
constexpr uint32_t kBurstDistance = 64;

// The part of the slots that blocks read once may hold when main wants room,
// but enough for those that a stream's readers are still at: evicted half
// read, they would come back from the ghosts and push metadata out of main.
constexpr uint32_t kSmallShare = 10;
constexpr uint32_t kMinSmall = 8;

// Hash places for each ghost: few are lost by collision.
constexpr uint64_t kGhostPlaces = 4;

// Fibonacci hashing: block numbers are dense, their high bits after this are not.
uint64_t mix(uint64_t block) { return (block + 1) * 0x9E3779B97F4A7C15u; }

} // namespace

Replacement::Replacement(uint32_t slots)
    : slots_(slots), burst_distance_(std::clamp(slots / 2, 1u, kBurstDistance)),
      entries_(slots), ghosts_(std::bit_ceil(slots * kGhostPlaces)) {}

void Replacement::insert(SlotId slot, BlockIndex block, bool was_read) {
  Entry &entry = entries_[slot];
  assert(entry.where == kNowhere);
  entry.block = block.value;
  entry.count = 0;
  if (!was_read) {
    link(slot, kAhead);
    return;
  }
  entry.burst_start = ++first_reads_;
  uint32_t tag;
  Ghost &ghost = ghost_of(block.value, tag);
  bool returned = ghost.tag == tag && departures_ - ghost.when < slots_;
  if (returned)
    ghost.tag = 0;
  link(slot, returned ? kMain : kSmall);
}

void Replacement::touch(SlotId slot) {
  Entry &entry = entries_[slot];
  assert(entry.where != kNowhere);
  if (entry.where == kAhead) { // its first read: as if it had come just now
    BlockIndex block{entry.block};
    unlink(slot);
    insert(slot, block, true);
  } else if (first_reads_ - entry.burst_start > burst_distance_) {
    entry.count = std::min<uint8_t>(static_cast<uint8_t>(entry.count + 1), kMaxCount);
    entry.burst_start = first_reads_;
  }
}

// In which order the queues are asked for a victim.
Replacement::Order Replacement::order() const {
  uint32_t small = std::max(slots_ / kSmallShare, std::min((slots_ - 1) / 2, kMinSmall));
  if (queues_[kSmall].size > small || queues_[kMain].size == 0)
    return {{kSmall, kMain, kSmall, kAhead}};
  return {{kMain, kSmall, kMain, kAhead}};
}

// The block at the head of its queue has its turn.  True: it stays after all,
// elsewhere.
bool Replacement::spare(SlotId slot) {
  Entry &entry = entries_[slot];
  if (entry.count == 0)
    return false;
  if (entry.where == kSmall) {
    entry.count = 0;
    unlink(slot);
    link(slot, kMain);
  } else {
    --entry.count;
    move_to_back(slot);
  }
  return true;
}

void Replacement::forget(SlotId slot) {
  Entry &entry = entries_[slot];
  if (entry.where != kAhead) { // unread blocks earned no second chance
    uint32_t tag;
    Ghost &ghost = ghost_of(entry.block, tag);
    ghost = {tag, ++departures_};
  }
  unlink(slot);
}

void Replacement::move_to_back(SlotId slot) {
  Where where = entries_[slot].where;
  unlink(slot);
  link(slot, where);
}

void Replacement::link(SlotId slot, Where where) {
  Entry &entry = entries_[slot];
  Queue &queue = queues_[where];
  entry.where = where;
  entry.prev = queue.tail;
  entry.next = kNone;
  (queue.tail == kNone ? queue.head : entries_[queue.tail].next) = slot;
  queue.tail = slot;
  ++queue.size;
}

void Replacement::unlink(SlotId slot) {
  Entry &entry = entries_[slot];
  Queue &queue = queues_[entry.where];
  (entry.prev == kNone ? queue.head : entries_[entry.prev].next) = entry.next;
  (entry.next == kNone ? queue.tail : entries_[entry.next].prev) = entry.prev;
  --queue.size;
  entry.where = kNowhere;
}

// Where the ghost of BLOCK would be, and its TAG there, never 0.
Replacement::Ghost &Replacement::ghost_of(uint64_t block, uint32_t &tag) {
  uint64_t hash = mix(block);
  tag = static_cast<uint32_t>(hash) | 1;
  return ghosts_[(hash >> 32) & (ghosts_.size() - 1)];
}

} // namespace httpcache
