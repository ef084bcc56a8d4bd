// SPDX-License-Identifier: BSD-3-Clause
// Copyright the httpcache authors

#include "readahead.h"

#include <algorithm>
#include <cassert>

namespace httpcache {

namespace {

// Streams remembered.  Each random read makes one, so this is also how many
// random reads it takes to push a pausing stream out; a thousand clients that
// stream side by side still have one each.
constexpr size_t kMaxStreams = 1024;

// Reads in flight at once that may overtake each other: nbdkit runs sixteen
// threads for each connection.  A short read may come among longer ones, as
// with compressed clusters of up to 64 KiB, hence the minimum.
constexpr uint64_t kReordered = 16;
constexpr uint64_t kMinReach = 1 << 20;
constexpr uint64_t kMaxReach = 64 << 20;

// A stream that passes over more than it reads is not sequential.
constexpr uint64_t kDense = 2;          // at least 1/kDense of span is covered
constexpr uint64_t kSpanMemory = 8 << 20; // span is halved beyond this

// First window: a few of the reader's own requests, but not less than what a
// round trip is worth paying for.
constexpr uint64_t kFirstWindowReads = 4;
constexpr uint64_t kMinFirstWindow = 512 << 10;

// A window may always be as long as what its stream has read: should the stream
// end there, at most half of all that was fetched was in vain.  And so far ahead
// that one transfer held up for seconds does not hold up the others.  One that
// has to wait may go to a multiple of it, up to a limit, at once: on a long way
// each doubling would cost a round trip.
constexpr uint64_t kLeap = 4;
constexpr uint64_t kMaxLeap = 32 << 20;

// A stream that has read this much keeps others' windows out of its region;
// less may have been a jump that the other stream will pass over.
constexpr uint64_t kLanded = 2 << 20;

// A window that nobody has read from for so many reads of others is taken
// away.
constexpr uint64_t kIdleReads = 256;

// When the budget is used up, a window goes to another stream as soon as its own
// has clearly stopped: it had so many turns, and each other stream as many.
constexpr uint64_t kTurns = 2;

// How many neighbours in by_pos_ are looked at on each side for a read's
// stream: random reads between may hide it.
constexpr size_t kNeighbours = 8;

} // namespace

Readahead::Readahead(const Geometry &geometry, const Bounds &bounds)
    : geometry_(geometry), bounds_(bounds), ready_(kMaxStreams) {
  streams_.reserve(kMaxStreams);
  by_pos_.reserve(kMaxStreams);
  by_start_.reserve(kMaxStreams);
}

uint64_t Readahead::reach(uint64_t count) {
  return std::clamp(count * kReordered, kMinReach, kMaxReach);
}

uint64_t Readahead::round_up(uint64_t offset) const {
  uint64_t mask = geometry_.block_size() - 1;
  return std::min((offset + mask) & ~mask, geometry_.export_size());
}

bool Readahead::observe(uint64_t offset, uint64_t count, bool waited) {
  assert(count > 0);
  if (bounds_.max_window == 0)
    return false;
  ++reads_;
  Id id = find(offset, count);
  if (id == kNone)
    id = create(offset, count);
  else
    advance(id, offset, count, waited);
  note_use(id);
  make_ready(id);
  retire_idle();
  return ready_count_ > 0;
}

// The stream that a read at OFFSET belongs to, or kNone.
Readahead::Id Readahead::find(uint64_t offset, uint64_t count) const {
  uint64_t near = reach(count);
  auto after = std::upper_bound(
      by_pos_.begin(), by_pos_.end(), offset,
      [&](uint64_t o, Id id) { return o < streams_[id].pos; });
  Id best = kNone;
  uint64_t best_distance = UINT64_MAX;
  auto consider = [&](Id id) {
    const Stream &s = streams_[id];
    uint64_t distance = offset >= s.pos ? offset - s.pos : s.pos - offset;
    if (distance <= near && distance < best_distance) {
      best = id;
      best_distance = distance;
    }
  };
  auto below = after;
  for (size_t i = 0; i < kNeighbours && below != by_pos_.begin(); ++i)
    consider(*--below);
  for (size_t i = 0; i < kNeighbours && after != by_pos_.end(); ++i)
    consider(*after++);
  return best;
}

Readahead::Id Readahead::create(uint64_t offset, uint64_t count) {
  Id id;
  if (streams_.size() < kMaxStreams) {
    id = static_cast<Id>(streams_.size());
    streams_.emplace_back();
  } else {
    id = oldest_;
    abandon(id);
    unlink_use(id);
    by_pos_.erase(std::find(by_pos_.begin(), by_pos_.end(), id));
    if (streams_[id].landed)
      by_start_.erase(std::find(by_start_.begin(), by_start_.end(), id));
  }
  Stream &s = streams_[id];
  uint32_t generation = s.generation + 1;
  bool ready = s.ready; // may still stand in the ring
  s = Stream{};
  s.generation = generation;
  s.ready = ready;
  s.start = offset;
  s.pos = s.ahead = offset + count;
  s.span = s.covered = count;
  auto at = std::upper_bound(
      by_pos_.begin(), by_pos_.end(), s.pos,
      [&](uint64_t pos, Id other) { return pos < streams_[other].pos; });
  by_pos_.insert(at, id);
  return id;
}

void Readahead::advance(Id id, uint64_t offset, uint64_t count, bool waited) {
  Stream &s = streams_[id];
  uint64_t end = offset + count;
  if (offset < s.start && !s.landed) {
    s.span += s.start - offset;
    s.start = offset;
  }
  s.covered += count;
  if (end > s.pos) {
    s.span += end - s.pos;
    ++s.advances;
    move_pos(id, end);
  }
  s.covered = std::min(s.covered, s.span);
  if (s.span > kSpanMemory) {
    s.span /= 2;
    s.covered /= 2;
  }
  if (s.covered * kDense < s.span || s.advances == 0) {
    abandon(id);
    return;
  }
  if (!s.landed && s.pos - s.start >= kLanded) {
    s.landed = true;
    auto at = std::upper_bound(
        by_start_.begin(), by_start_.end(), s.start,
        [&](uint64_t start, Id other) { return start < streams_[other].start; });
    by_start_.insert(at, id);
  }
  if (s.window == 0) {
    s.window = std::max(kMinFirstWindow, count * kFirstWindowReads);
    s.grow_mark = s.ahead;
  } else if (waited && end > s.grow_mark) {
    s.window = std::max(2 * s.window, std::min(kLeap * (s.pos - s.start), kMaxLeap));
    s.grow_mark = s.ahead;
  }
  s.window = std::min(std::max(s.window, s.pos - s.start), bounds_.max_window);
}

// Keeps by_pos_ in order; a stream seldom overtakes another, so few steps.
void Readahead::move_pos(Id id, uint64_t pos) {
  Stream &s = streams_[id];
  auto from = std::lower_bound(
      by_pos_.begin(), by_pos_.end(), s.pos,
      [&](Id other, uint64_t p) { return streams_[other].pos < p; });
  while (*from != id)
    ++from;
  if (s.ahead > s.pos) {
    outstanding_ -= s.ahead - s.pos;
    --windows_;
  }
  s.pos = pos;
  // The read itself brings its last block whole.
  s.ahead = std::max(s.ahead, round_up(pos));
  if (s.ahead > s.pos) {
    outstanding_ += s.ahead - s.pos;
    ++windows_;
  }
  for (auto next = from + 1; next != by_pos_.end() && streams_[*next].pos < pos; ++from, ++next)
    std::swap(*from, *next);
}

void Readahead::set_ahead(Stream &s, uint64_t ahead) {
  if (s.ahead > s.pos) {
    outstanding_ -= s.ahead - s.pos;
    --windows_;
  }
  s.ahead = ahead;
  if (s.ahead > s.pos) {
    outstanding_ += s.ahead - s.pos;
    ++windows_;
  }
}

// The stream keeps its place but loses its window.
void Readahead::abandon(Id id) {
  Stream &s = streams_[id];
  set_ahead(s, s.pos);
  s.window = 0;
}

void Readahead::note_use(Id id) {
  Stream &s = streams_[id];
  s.last_use = reads_;
  if (newest_ == id)
    return;
  unlink_use(id);
  s.older = newest_;
  (newest_ == kNone ? oldest_ : streams_[newest_].newer) = id;
  newest_ = id;
}

void Readahead::unlink_use(Id id) {
  Stream &s = streams_[id];
  if (s.older != kNone)
    streams_[s.older].newer = s.newer;
  else if (oldest_ == id)
    oldest_ = s.newer;
  if (s.newer != kNone)
    streams_[s.newer].older = s.older;
  else if (newest_ == id)
    newest_ = s.older;
  s.older = s.newer = kNone;
}

// Where S's window may reach at most: the next region that another has read.
// One that begins just where S is counts too: S may have ended there.  If it
// goes on, its next read carries it past that border.
uint64_t Readahead::end_of_window(const Stream &s) const {
  auto other = std::lower_bound(
      by_start_.begin(), by_start_.end(), s.pos,
      [&](Id id, uint64_t pos) { return streams_[id].start < pos; });
  return other == by_start_.end() ? geometry_.export_size()
                                  : streams_[*other].start;
}

// Bytes that S should ask for now: nothing, or enough for a transfer.
uint64_t Readahead::room_of(const Stream &s) const {
  if (s.window == 0)
    return 0;
  uint64_t share = std::max<uint64_t>(bounds_.budget / std::max(1u, windows_),
                                      geometry_.block_size());
  uint64_t window = std::max<uint64_t>(std::min(s.window, share), geometry_.block_size());
  uint64_t unread = s.ahead - s.pos;
  uint64_t end = end_of_window(s);
  if (s.ahead >= end || unread >= window)
    return 0;
  uint64_t room = std::min(window - unread, end - s.ahead);
  bool to_the_end = s.ahead + room == end;
  uint64_t worth_it = std::min(bounds_.transfer_bytes, window / 2);
  return room >= worth_it || to_the_end ? room : 0;
}

void Readahead::make_ready(Id id) {
  Stream &s = streams_[id];
  if (s.ready || room_of(s) == 0)
    return;
  assert(ready_count_ < kMaxStreams);
  ready_[(ready_first_ + ready_count_++) % kMaxStreams] = id;
  s.ready = true;
}

// Looks at one stream a read, in turn, so that windows nobody reads from do
// not go on taking shares of the budget.
void Readahead::retire_idle() {
  hand_ = hand_ + 1 < streams_.size() ? hand_ + 1 : 0;
  if (streams_[hand_].window > 0 && reads_ - streams_[hand_].last_use > kIdleReads)
    abandon(hand_);
}

// Takes the window of the stream that has been idle longest.
bool Readahead::reclaim() {
  uint64_t idle = kTurns * (kReordered + windows_);
  for (Id id = oldest_; id != kNone; id = streams_[id].newer) {
    Stream &s = streams_[id];
    if (reads_ - s.last_use < idle)
      return false;
    if (s.ahead > s.pos) {
      abandon(id);
      return true;
    }
  }
  return false;
}

std::optional<Readahead::Plan> Readahead::next() {
  while (ready_count_ > 0) {
    Id id = ready_[ready_first_];
    Stream &s = streams_[id];
    uint64_t bytes = std::min(room_of(s), std::max<uint64_t>(bounds_.transfer_bytes,
                                                             geometry_.block_size()));
    if (bytes > 0 && outstanding_ + bytes > bounds_.budget && outstanding_ > 0) {
      if (reclaim())
        continue;
      return std::nullopt; // it stays ready until readers have moved on
    }
    ready_first_ = (ready_first_ + 1) % kMaxStreams;
    --ready_count_;
    s.ready = false;
    if (bytes == 0)
      continue;
    // Whole blocks; the last one of the export or of a window may be short.
    BlockIndex first = geometry_.block_of(s.ahead);
    BlockIndex last = geometry_.block_of(s.ahead + bytes - 1);
    uint64_t count = (last - first) + 1;
    if (count > 1 && round_up(s.ahead + bytes) != s.ahead + bytes)
      --count;
    Plan plan{{first, count}, id, s.generation};
    set_ahead(s, geometry_.start_of(first) + geometry_.bytes_of(plan.run));
    make_ready(id);
    return plan;
  }
  return std::nullopt;
}

void Readahead::give_back(const Plan &plan, uint64_t blocks) {
  Stream &s = streams_[plan.stream];
  if (s.generation != plan.generation || s.window == 0 || blocks == 0)
    return;
  assert(blocks <= plan.run.count);
  uint64_t from = geometry_.start_of(plan.run.first + (plan.run.count - blocks));
  // Only the newest plan can be given back; behind an older one it would leave
  // a hole, which the reader will then fetch by demand.
  if (s.ahead == std::min(geometry_.start_of(plan.run.end()), geometry_.export_size()))
    set_ahead(s, std::max(from, s.pos));
}

} // namespace httpcache
