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

// Streams whose share of the budget is kept free when there are several.
constexpr uint32_t kLeftBehind = 2;

// A window that nobody has read from for so many reads of others is taken
// away.
constexpr uint64_t kIdleReads = 256;

// When the budget is used up, a window goes to another stream as soon as its own
// has clearly stopped: it had so many turns, and each other stream as many.
constexpr uint64_t kTurns = 2;

} // namespace

// One window may take all that may be fetched ahead: the bytes in flight are
// bounded elsewhere (flow.h), and when one connection stalls, what the others
// bring meanwhile is what keeps the wire busy.
Readahead::Bounds Readahead::Bounds::of(uint64_t held, uint64_t most, uint64_t transfer,
                                        uint64_t ahead) {
  uint64_t budget = std::min(held, ahead);
  return {std::min(budget, most), budget, std::min(transfer, budget / 2)};
}

Readahead::Readahead(const Geometry &geometry, const Bounds &bounds)
    : geometry_(geometry), bounds_(bounds), ready_(kMaxStreams) {
  streams_.reserve(kMaxStreams);
  by_pos_.reserve(kMaxStreams);
  by_start_.reserve(kMaxStreams);
  idle_.reserve(kMaxStreams);
}

uint64_t Readahead::reach(uint64_t count) {
  return std::clamp(count * kReordered, kMinReach, kMaxReach);
}

std::vector<uint64_t> Readahead::positions() const {
  std::vector<uint64_t> all;
  for (const Place &place : by_pos_)
    all.push_back(place.key);
  return all;
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
  size_t place = find(offset, count);
  Id id;
  if (place == kNoPlace) {
    id = create(offset, count);
  } else {
    id = by_pos_[place].id;
    advance(place, offset, count, waited);
  }
  streaming_ = streams_[id].window > 0;
  note_use(id);
  make_ready(id);
  retire_idle();
  return ready_count_ > 0 && !stalled();
}

// How many of ORDER come before KEY.  Written so that the compiler needs no
// branch: half of them would be guessed wrong, which costs more than the rest.
size_t Readahead::count_below(const std::vector<Place> &order, uint64_t key) {
  size_t below = 0, rest = order.size();
  while (rest > 0) {
    size_t half = (rest + 1) / 2;
    below += order[below + half - 1].key < key ? half : 0;
    rest -= half;
  }
  return below;
}

size_t Readahead::place_in(const std::vector<Place> &order, uint64_t key, Id id) {
  size_t place = count_below(order, key);
  while (order[place].id != id)
    ++place;
  return place;
}

// Gives the entry at PLACE another key, and moves it there, behind its equals.
void Readahead::rekey(std::vector<Place> &order, size_t place, uint64_t key) {
  Place entry{key, order[place].id};
  size_t to = count_below(order, key + 1);
  auto at = [&](size_t i) { return order.begin() + static_cast<ptrdiff_t>(i); };
  if (to > place)
    std::move(at(place + 1), at(to--), at(place));
  else
    std::move_backward(at(to), at(place), at(place + 1));
  order[to] = entry;
}

// Where in by_pos_ the stream stands that a read at OFFSET belongs to: the
// nearest one, so no more than the neighbour on each side need be looked at.
size_t Readahead::find(uint64_t offset, uint64_t count) const {
  size_t after = count_below(by_pos_, offset + 1);
  size_t best = kNoPlace;
  uint64_t best_distance = reach(count) + 1;
  if (after > 0 && offset - by_pos_[after - 1].key < best_distance) {
    best = after - 1;
    best_distance = offset - by_pos_[best].key;
  }
  if (after < by_pos_.size() && by_pos_[after].key - offset < best_distance)
    best = after;
  return best;
}

Readahead::Id Readahead::create(uint64_t offset, uint64_t count) {
  Id id;
  size_t place;
  if (streams_.size() < kMaxStreams) {
    id = static_cast<Id>(streams_.size());
    streams_.emplace_back();
    place = by_pos_.size();
    by_pos_.push_back({UINT64_MAX, id});
  } else {
    id = oldest_;
    abandon(id);
    unlink_use(id);
    place = place_in(by_pos_, streams_[id].pos, id);
    if (streams_[id].landed) {
      size_t start = place_in(by_start_, streams_[id].start, id);
      by_start_.erase(by_start_.begin() + static_cast<ptrdiff_t>(start));
      ++starts_version_;
    }
  }
  Stream &s = streams_[id];
  uint32_t generation = s.generation + 1;
  bool ready = s.ready; // may still stand in the ring,
  bool queued = s.queued; // and in idle_
  s = Stream{};
  s.generation = generation;
  s.ready = ready;
  s.queued = queued;
  s.start = offset;
  s.pos = s.ahead = offset + count;
  s.span = s.covered = count;
  rekey(by_pos_, place, s.pos);
  return id;
}

void Readahead::advance(size_t place, uint64_t offset, uint64_t count, bool waited) {
  Id id = by_pos_[place].id;
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
    move_pos(place, end);
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
    by_start_.push_back({UINT64_MAX, id});
    rekey(by_start_, by_start_.size() - 1, s.start);
    ++starts_version_;
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
void Readahead::move_pos(size_t place, uint64_t pos) {
  Id id = by_pos_[place].id;
  // The read itself brings its last block whole.
  set_ends(id, pos, std::max(streams_[id].ahead, round_up(pos)));
  for (; place + 1 < by_pos_.size() && by_pos_[place + 1].key < pos; ++place)
    by_pos_[place] = by_pos_[place + 1];
  by_pos_[place] = {pos, id};
}

void Readahead::set_ends(Id id, uint64_t pos, uint64_t ahead) {
  Stream &s = streams_[id];
  if (s.ahead > s.pos) {
    outstanding_ -= s.ahead - s.pos;
    --windows_;
  }
  s.pos = pos;
  s.ahead = ahead;
  if (s.ahead > s.pos) {
    outstanding_ += s.ahead - s.pos;
    ++windows_;
    if (!s.queued) {
      s.queued = true;
      queue_idle(id);
    }
  }
}

void Readahead::queue_idle(Id id) {
  idle_.push_back({streams_[id].last_use, id});
  std::push_heap(idle_.begin(), idle_.end());
}

// The stream keeps its place but loses its window.
void Readahead::abandon(Id id) {
  Stream &s = streams_[id];
  set_ends(id, s.pos, s.pos);
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
uint64_t Readahead::end_of_window(Stream &s) const {
  // A border stays one until S has passed it, or another comes or goes.
  if (s.border_version != starts_version_ || s.border < s.pos) {
    size_t other = count_below(by_start_, s.pos);
    s.border = other == by_start_.size() ? geometry_.export_size() : by_start_[other].key;
    s.border_version = starts_version_;
  }
  return s.border;
}

// Bytes that S should ask for now: nothing, or enough for a transfer.
uint64_t Readahead::room_of(Stream &s) const {
  if (s.window == 0)
    return 0;
  // Several streams leave a part to what is fetched but belongs to none any more:
  // behind a slice's border, for whoever takes the next one.
  uint64_t streams = windows_ > 1 ? windows_ + kLeftBehind : 1;
  uint64_t share = std::max<uint64_t>(bounds_.budget / streams, geometry_.block_size());
  uint64_t window = std::max<uint64_t>(std::min(s.window, share), geometry_.block_size());
  uint64_t unread = s.ahead - s.pos;
  if (unread >= window)
    return 0;
  uint64_t end = end_of_window(s);
  if (s.ahead >= end)
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

// Is the stream that has been idle longest, of those with bytes ahead, so for
// long enough?  It is at the top of idle_ then.  What idle_ says of a stream may
// be out of date, but only in that it was used later: so each read costs at most
// one turn of the loop, sometime.
bool Readahead::find_idle() {
  uint64_t enough = kTurns * (kReordered + windows_);
  while (!idle_.empty() && reads_ - idle_.front().last_use >= enough) {
    Idle oldest = idle_.front();
    Stream &s = streams_[oldest.id];
    if (s.ahead > s.pos && s.last_use == oldest.last_use)
      return true;
    std::pop_heap(idle_.begin(), idle_.end());
    idle_.pop_back();
    s.queued = s.ahead > s.pos;
    if (s.queued)
      queue_idle(oldest.id);
  }
  return false;
}

// Takes the window of the stream that has been idle longest.  It stays in idle_,
// to be taken out there when it is next looked at.
bool Readahead::reclaim() {
  if (!find_idle())
    return false;
  abandon(idle_.front().id);
  return true;
}

// Bytes that S should ask for in one transfer.
uint64_t Readahead::next_bytes(Stream &s) const {
  return std::min(room_of(s),
                  std::max<uint64_t>(bounds_.transfer_bytes, geometry_.block_size()));
}

bool Readahead::over_budget(uint64_t bytes) const {
  return bytes > 0 && outstanding_ > 0 && outstanding_ + bytes > bounds_.budget;
}

// Would next() give nothing although a stream is ready?
bool Readahead::stalled() {
  return over_budget(next_bytes(streams_[ready_[ready_first_]])) && !find_idle();
}

std::optional<Readahead::Plan> Readahead::next() {
  while (ready_count_ > 0) {
    Id id = ready_[ready_first_];
    Stream &s = streams_[id];
    uint64_t bytes = next_bytes(s);
    if (over_budget(bytes)) {
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
    set_ends(id, s.pos, geometry_.start_of(first) + geometry_.bytes_of(plan.run));
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
    set_ends(plan.stream, s.pos, std::max(from, s.pos));
}

} // namespace httpcache
