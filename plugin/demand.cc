// SPDX-License-Identifier: BSD-3-Clause
// Copyright the httpcache authors

#include "demand.h"

#include <cassert>

namespace httpcache {

namespace {

// Four reads of half a second each are jumps too; streams pass a table less often.
constexpr Duration kOfLate = std::chrono::seconds(2);

} // namespace

Demand::Demand(size_t most) {
  for (OfEach<std::vector<Block *>> *all : {&inboxes_, &taken_})
    for (std::vector<Block *> &each : *all)
      each.reserve(most);
}

void Demand::add(std::span<Block *const> blocks, Reader reader) {
  MutexLock lock(mu_);
  std::vector<Block *> &inbox = inboxes_[static_cast<size_t>(reader)];
  inbox.insert(inbox.end(), blocks.begin(), blocks.end());
}

void Demand::take_inbox() {
  {
    MutexLock lock(mu_);
    taken_.swap(inboxes_);
  }
  for (size_t i = 0; i < taken_.size(); ++i) {
    queues_[i].insert(queues_[i].end(), taken_[i].begin(), taken_[i].end());
    taken_[i].clear();
  }
}

std::optional<Demand::Reader> Demand::next(bool streams_may_go_on) const {
  bool jump = !queue(Reader::Jumping).empty();
  bool stream = !queue(Reader::Streaming).empty() && streams_may_go_on;
  if (jump && stream)
    return last_ == Reader::Jumping ? Reader::Streaming : Reader::Jumping;
  if (jump)
    return Reader::Jumping;
  return stream ? std::optional(Reader::Streaming) : std::nullopt;
}

void Demand::take(Reader reader, size_t most, std::vector<Block *> &run, TimePoint now) {
  std::deque<Block *> &waiting = queue(reader);
  assert(!waiting.empty() && most > 0);
  run.clear();
  do {
    run.push_back(waiting.front()); // it may throw, and then waits still
    waiting.pop_front();
  } while (!waiting.empty() && run.size() < most &&
           waiting.front()->index() == run.back()->index() + 1);
  last_ = reader;
  if (reader == Reader::Jumping)
    jumps_[next_jump_++ % kJumps] = now;
}

Block *Demand::take_any() {
  for (std::deque<Block *> &each : queues_)
    if (!each.empty()) {
      Block *block = each.front();
      each.pop_front();
      return block;
    }
  MutexLock lock(mu_);
  for (OfEach<std::vector<Block *>> *all : {&taken_, &inboxes_})
    for (std::vector<Block *> &each : *all)
      if (!each.empty()) {
        Block *block = each.back();
        each.pop_back();
        return block;
      }
  return nullptr;
}

bool Demand::jumping(TimePoint now) const {
  TimePoint oldest = jumps_[next_jump_ % kJumps];
  return oldest != TimePoint{} && now - oldest < kOfLate;
}

} // namespace httpcache
