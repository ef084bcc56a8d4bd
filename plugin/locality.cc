// SPDX-License-Identifier: BSD-3-Clause
// Copyright the httpcache authors

#include "locality.h"

namespace httpcache {

namespace {

// Extensions are worth their bytes while one in so many is read from before it
// is forgotten.  They cost the reader less than the round trip that each useful
// one saves; a recorded boot uses one in two to three.
constexpr unsigned kUsefulShare = 8;
// No judgement before so many.
constexpr unsigned kFirstTrials = 8;
constexpr unsigned kRetry = 16;

bool touch(const BlockRun &a, const BlockRun &b) {
  return a.first < b.end() && b.first < a.end();
}

} // namespace

std::optional<BlockIndex> Locality::read(const BlockRun &run) {
  std::optional<BlockIndex> end;
  if (useful_ == made_)
    return end;
  for (Trial &trial : trials_)
    if (!trial.useful && trial.run.count > 0 && touch(trial.run, run)) {
      trial.useful = true;
      ++useful_;
      end = trial.run.end();
    }
  return end;
}

bool Locality::worthwhile() {
  if (made_ < kFirstTrials || useful_ * kUsefulShare >= made_) {
    declined_ = 0;
    return true;
  }
  if (++declined_ < kRetry)
    return false;
  declined_ = 0;
  return true;
}

void Locality::extended(const BlockRun &run) {
  Trial &trial = trials_[next_++ % kTrials];
  if (trial.run.count == 0)
    ++made_;
  else if (trial.useful)
    --useful_;
  trial = {run, false};
}

} // namespace httpcache
