// SPDX-License-Identifier: BSD-3-Clause
// Copyright the httpcache authors

#include "block_cache.h"

#include <algorithm>
#include <bit>
#include <cassert>
#include <cstring>
#include <utility>

#include "log.h"

namespace httpcache {

// On the stack of the waiting thread, linked while it waits.
struct Block::Waiter {
  explicit Waiter(uint32_t need_bytes) : need(need_bytes) {}
  const uint32_t need;
  bool woken = false;
  Waiter *next = nullptr;
  CondVar cond;
};

struct BlockCache::RoomWaiter {
  RoomWaiter *next = nullptr;
  CondVar cond;
};

BlockCache::BlockCache(const Geometry &geometry, Slab slab, Stats &stats)
    : geometry_(geometry), capacity_(slab.slots()),
      ahead_limit_(std::max(1u, capacity_ / 2)), stats_(stats),
      slab_(std::move(slab)), replacement_(capacity_), blocks_(capacity_),
      bucket_mask_(std::bit_ceil(size_t{capacity_} * 2) - 1),
      buckets_(bucket_mask_ + 1) {}

BlockCache::~BlockCache() {
  for ([[maybe_unused]] const Block &block : blocks_)
    assert(block.waiters_ == nullptr);
}

size_t BlockCache::bucket_of(BlockIndex index) const {
  uint64_t hash = index.value * 0x9E3779B97F4A7C15u;
  return (hash >> 32) & bucket_mask_;
}

Block *BlockCache::find(BlockIndex index) {
  Block *block = buckets_[bucket_of(index)];
  while (block != nullptr && block->index_ != index)
    block = block->hash_next_;
  return block;
}

bool BlockCache::usable(SlotId slot) const {
  return blocks_[slot].pins_.load(std::memory_order_seq_cst) == 0;
}

void BlockCache::erase(Block &block) {
  Block **link = &buckets_[bucket_of(block.index_)];
  while (*link != &block)
    link = &(*link)->hash_next_;
  *link = block.hash_next_;
  block.hash_next_ = nullptr;
}

// A new arriving entry, pinned once for the fetcher; null without room.
Block *BlockCache::make(BlockIndex index, For purpose) {
  bool for_prefetch = purpose != For::Demand;
  auto is_usable = [this](SlotId s) NO_THREAD_SAFETY_ANALYSIS { return usable(s); };
  std::optional<SlotId> slot;
  bool over_share = for_prefetch && replacement_.unread() + arriving_ahead_ >= ahead_limit_;
  if (!over_share || purpose == For::PrefetchIfRoom)
    slot = slab_.take();
  if (!slot && over_share) {
    // Over its share, prefetch may only take from itself: what has lain unread
    // longest was meant for a stream that went elsewhere.
    if (purpose == For::Prefetch)
      slot = replacement_.oldest_unread(is_usable);
    if (!slot)
      return nullptr;
  }
  if (!slot)
    slot = replacement_.victim(is_usable);
  if (!slot)
    return nullptr;

  Block &block = blocks_[*slot];
  if (block.state_ == Block::State::Complete) {
    log(LogArea::Cache, "evict block {} {}", block.index_.value,
        block.prefetched_ ? "unread" : "read");
    erase(block);
    stats_.evicted.add();
  }
  block.index_ = index;
  block.length_ = geometry_.length_of(index);
  block.slot_ = *slot;
  block.data_ = slab_.data(*slot);
  block.arrived_.store(0, std::memory_order_relaxed);
  block.wanted_.store(Block::kNobody, std::memory_order_relaxed);
  block.detached_.store(false, std::memory_order_relaxed);
  block.pins_.store(1, std::memory_order_relaxed);
  block.state_ = Block::State::Arriving;
  block.prefetched_ = for_prefetch;
  block.read_ = false;
  block.failure_.reset();
  Block *&bucket = buckets_[bucket_of(index)];
  block.hash_next_ = bucket;
  bucket = &block;
  if (for_prefetch) {
    ++arriving_ahead_;
    stats_.bytes_prefetched.add(block.length_);
  }
  return &block;
}

// A reader wants BLOCK, which is in the table.
void BlockCache::pin_found(Block &block, Claim &claim) {
  block.pins_.fetch_add(1, std::memory_order_relaxed);
  claim.block = &block;
  if (block.prefetched_) {
    block.prefetched_ = false;
    stats_.bytes_prefetched_used.add(block.length_);
    if (block.state_ == Block::State::Arriving)
      --arriving_ahead_;
  }
  block.read_ = true;
  if (block.state_ == Block::State::Complete) {
    claim.found = Found::Complete;
    replacement_.touch(block.slot_);
  } else {
    claim.found = Found::Arriving;
  }
}

size_t BlockCache::claim_some(BlockRun run, std::span<Claim> out) {
  size_t most = std::min<uint64_t>(run.count, out.size());
  size_t n = 0;
  for (; n < most; ++n) {
    BlockIndex index = run.first + n;
    if (Block *block = find(index)) {
      pin_found(*block, out[n]);
      continue;
    }
    if (room_first_ != nullptr)
      break; // others wait for room: no overtaking
    Block *block = make(index, For::Demand);
    if (block == nullptr)
      break;
    block->pins_.fetch_add(1, std::memory_order_relaxed);
    block->read_ = true;
    out[n] = {block, Found::New};
  }
  return n;
}

Result<size_t> BlockCache::claim(BlockRun run, std::span<Claim> out, bool wait,
                                 CancelCheck &cancel) {
  assert(run.count > 0 && !out.empty());
  MutexLock lock(mu_);
  size_t n = claim_some(run, out);
  if (n > 0 || !wait)
    return n;

  // Stand in line.  Only the first in line takes room; being found in the
  // table meanwhile serves anybody.
  stats_.room_waits.add();
  RoomWaiter self;
  (room_last_ == nullptr ? room_first_ : room_last_->next) = &self;
  room_last_ = &self;
  room_waiters_.fetch_add(1, std::memory_order_seq_cst);
  bool gave_up = false;
  for (;;) {
    Block *block = find(run.first);
    if (block != nullptr) {
      pin_found(*block, out[0]);
      break;
    }
    if (room_first_ == &self && (block = make(run.first, For::Demand)) != nullptr) {
      block->pins_.fetch_add(1, std::memory_order_relaxed);
      block->read_ = true;
      out[0] = {block, Found::New};
      break;
    }
    if (!self.cond.wait_for(lock, kCancelPoll)) {
      lock.unlock();
      gave_up = cancel.cancelled();
      lock.lock();
      if (gave_up)
        break;
    }
  }
  RoomWaiter *before = nullptr;
  for (RoomWaiter *w = room_first_; w != &self; w = w->next)
    before = w;
  (before == nullptr ? room_first_ : before->next) = self.next;
  if (room_last_ == &self)
    room_last_ = before;
  room_waiters_.fetch_sub(1, std::memory_order_seq_cst);
  notify_room(); // the next in line may find room too
  if (gave_up)
    return Error{ErrorKind::Cancelled, ESHUTDOWN, 0, "read abandoned", {}};
  if (run.count > 1 && out.size() > 1)
    return 1 + claim_some({run.first + 1, run.count - 1}, out.subspan(1));
  return size_t{1};
}

size_t BlockCache::claim_ahead(BlockRun run, std::span<Block *> out, bool replace_unread) {
  MutexLock lock(mu_);
  size_t most = std::min<uint64_t>(run.count, out.size());
  size_t n = 0;
  while (n < most && room_first_ == nullptr && find(run.first + n) == nullptr) {
    Block *block = make(run.first + n, replace_unread ? For::Prefetch : For::PrefetchIfRoom);
    if (block == nullptr)
      break;
    out[n++] = block;
  }
  return n;
}

uint64_t BlockCache::count_leading(BlockRun run, bool look_for_present) {
  MutexLock lock(mu_);
  uint64_t n = 0;
  while (n < run.count && (find(run.first + n) != nullptr) == look_for_present)
    ++n;
  return n;
}

void BlockCache::notify_room() {
  if (room_first_ != nullptr)
    room_first_->cond.notify_one();
}

void BlockCache::unpin(Block &block) {
  if (block.pins_.fetch_sub(1, std::memory_order_seq_cst) != 1)
    return;
  // From here on the block may be evicted and its entry be used for another;
  // what is read now is a hint whether to look again under the lock.
  if (block.detached_.load(std::memory_order_seq_cst) ||
      room_waiters_.load(std::memory_order_seq_cst) > 0)
    drop_pin_slowly(block);
}

void BlockCache::drop_pin_slowly(Block &block) {
  std::shared_ptr<const Error> garbage; // destroyed without the lock
  MutexLock lock(mu_);
  if (block.state_ == Block::State::Detached &&
      block.pins_.load(std::memory_order_acquire) == 0) { // what they read is read
    block.state_ = Block::State::Free;
    garbage = std::move(block.failure_);
    slab_.give_back(block.slot_);
  }
  notify_room();
}

Result<void> BlockCache::wait(Block &block, uint32_t need, CancelCheck &cancel) {
  assert(need <= block.length_);
  if (block.arrived() >= need)
    return {};
  MutexLock lock(wait_mutex(block));
  Block::Waiter self(need);
  bool gave_up = false;
  for (;;) {
    self.next = block.waiters_;
    block.waiters_ = &self;
    self.woken = false;
    if (need < block.wanted_.load(std::memory_order_relaxed))
      block.wanted_.store(need, std::memory_order_seq_cst);
    bool done = block.arrived_.load(std::memory_order_seq_cst) >= need;
    while (!done && !gave_up && block.failure_ == nullptr && !self.woken) {
      if (!self.cond.wait_for(lock, kCancelPoll)) {
        lock.unlock();
        gave_up = cancel.cancelled();
        lock.lock();
      }
    }
    if (!self.woken) { // still linked: a waker unlinks whom it wakes
      Block::Waiter **link = &block.waiters_;
      while (*link != &self)
        link = &(*link)->next;
      *link = self.next;
    }
    if (block.arrived() >= need)
      return {};
    if (block.failure_ != nullptr)
      return *block.failure_;
    if (gave_up)
      return Error{ErrorKind::Cancelled, ESHUTDOWN, 0, "read abandoned", {}};
  }
}

// Wakes those whose bytes have come, or all when the fetch failed.
void BlockCache::wake(Block &block) {
  MutexLock lock(wait_mutex(block));
  uint32_t arrived = block.arrived_.load(std::memory_order_relaxed);
  uint32_t next_wanted = Block::kNobody;
  Block::Waiter **link = &block.waiters_;
  while (Block::Waiter *waiter = *link) {
    if (waiter->need <= arrived || block.failure_ != nullptr) {
      *link = waiter->next;
      waiter->woken = true;
      waiter->cond.notify_one(); // under the lock: it lives on its owner's stack
    } else {
      next_wanted = std::min(next_wanted, waiter->need);
      link = &waiter->next;
    }
  }
  block.wanted_.store(next_wanted, std::memory_order_seq_cst);
  // A reader that set a lower `wanted` did so under this mutex and is in the
  // list; one that comes later reads `arrived` after we wrote it.
}

bool BlockCache::deliver(Block &block, uint32_t at, std::span<const char> bytes) {
  uint32_t have = block.arrived_.load(std::memory_order_relaxed);
  assert(at <= have && bytes.size() <= block.length_ - at);
  uint32_t end = at + static_cast<uint32_t>(bytes.size());
  if (end <= have)
    return false;
  std::memcpy(block.data_ + have, bytes.data() + (have - at), end - have);
  block.arrived_.store(end, std::memory_order_seq_cst);
  if (end >= block.wanted_.load(std::memory_order_seq_cst))
    wake(block);
  if (end < block.length_)
    return false;
  complete(block);
  return true;
}

void BlockCache::complete(Block &block) {
  {
    MutexLock lock(mu_);
    assert(block.state_ == Block::State::Arriving);
    block.state_ = Block::State::Complete;
    if (block.prefetched_)
      --arriving_ahead_;
    replacement_.insert(block.slot_, block.index_, block.read_);
  }
  log(LogArea::Cache, "complete block {}", block.index_.value);
  unpin(block);
}

void BlockCache::detach(Block &block) {
  assert(block.state_ == Block::State::Arriving);
  erase(block);
  block.state_ = Block::State::Detached;
  block.detached_.store(true, std::memory_order_seq_cst);
  if (block.prefetched_)
    --arriving_ahead_;
}

// The end of what is left of BLOCK, which is detached.
void BlockCache::tell_failure(Block &block, std::shared_ptr<const Error> error) {
  log(LogArea::Cache, "failed block {}", block.index_.value);
  {
    MutexLock lock(wait_mutex(block));
    block.failure_ = std::move(error);
  }
  wake(block);
  unpin(block);
}

void BlockCache::fail(Block &block, std::shared_ptr<const Error> error) {
  {
    MutexLock lock(mu_);
    detach(block);
  }
  tell_failure(block, std::move(error));
}

bool BlockCache::fail_unless_wanted(Block &block, std::shared_ptr<const Error> error) {
  {
    MutexLock lock(mu_);
    if (block.read_)
      return false;
    detach(block);
  }
  tell_failure(block, std::move(error));
  return true;
}

uint64_t BlockCache::peak_bytes() {
  MutexLock lock(mu_);
  return uint64_t{slab_.peak()} * geometry_.block_size();
}

uint32_t BlockCache::unread() {
  MutexLock lock(mu_);
  return replacement_.unread();
}

} // namespace httpcache
