// SPDX-License-Identifier: BSD-3-Clause
// Copyright the httpcache authors

#include "flow.h"

#include <algorithm>
#include <bit>
#include <functional>

namespace httpcache {

namespace {

// What may stand in the bottleneck's queue on top of what is on the wire.  The
// best fixed limits found were 8 MiB at 40 ms and 500 Mbit/s, 5 MiB at 120 and
// 200, 6 MiB at 60 and 300 (with a prototype): not one multiple of the
// bandwidth-delay product, but each 90 to 110 ms more than the round trip, the
// length of that link's queue.  With 80 ms a queue of 100 ms still overflowed now
// and then under cubic, with 50 the wire was not quite full.
constexpr double kQueue_s = 0.065;

// An answer that came over a short way has not stood in such a queue, but at most
// for a few round trips, or until a process had its turn.
constexpr double kQueueTrips = 8;
constexpr double kMinQueue_s = 0.001;
// There a few milliseconds of data bridge whatever a process waits for.  With all of
// kQueue_s in flight over loopback, half the cache was, and up to 6 % of a file was
// fetched twice because what lay there unread had to make room.
constexpr double kShortWay_s = 0.010;

// While the wire is kept full each answer has stood in that queue first, and the
// shortest of them is not the link's own round trip: taken for it, it would make
// the queue longer by kQueue_s every kSlots * kTripPeriod.  So now and then so
// little is asked for that the queue runs empty and the trip can be seen.
// What answers take longer than the shortest then, is the server's: one that reads a
// cold disk for some would else be taken for a queue, and asked for less and less.
constexpr Duration kLookPeriod = std::chrono::seconds(10);
constexpr double kLookShare = 0.75; // of what is on the wire
constexpr double kLookTrips = 1.5;  // longer than the queue takes to run empty
constexpr unsigned kThoughts = 16;  // so many answers' average, from then on a moving one

constexpr uint64_t kStartBytes = 4 << 20; // before the link was seen full

// The link is taken for full, as in BBR's start, when the rate has not grown by
// a quarter for three rounds.  A round is over when as much has come as was
// asked for at its beginning; rounds of time would end while connections are
// still being made, with nothing learnt.
constexpr double kGrowth = 1.25;
constexpr unsigned kRoundsWithoutGrowth = 3;
constexpr uint64_t kMinBytes = 512 << 10;

// So many transfers should be under way at a time: one that stalls then holds
// up little, and their starts are spread over the round trip.
constexpr uint64_t kTransfers = 8;
constexpr uint64_t kMinTransfer = 64 << 10;
constexpr uint64_t kMaxTransfer = 4 << 20;

// An answer shorter than this says little of the rate; and of the last eight,
// the second fastest counts: others came on connections that were only starting.
constexpr uint64_t kMinAnswer = 128 << 10;
constexpr size_t kBurstRank = 2;

// Answers that stood in the queue for less than the first share of queue_s() leave
// room for more to be asked for, those for more than the second do not.
constexpr double kShortQueue = 0.25, kLongQueue = 0.5;
constexpr double kGainStep = 1.1; // a sample
// Down in two or three samples: each one more overfills the queue again.
constexpr double kGainFall = 2;
// The most, but for what makes kStartBytes, a block of the default size for each of 16
// connections.  A fast link that has just lost packets has no queue for a moment either,
// and floods if more is asked for then.
constexpr double kMaxGain = 4;

// While readers wait for single answers these stand in the queue for a quarter of the
// trip at most, which they do not feel, on long ways for less.  Each sample brings
// that half as near again: the next one is under way already.
constexpr double kShortTrips = 0.25, kMaxShortQueue_s = 0.010;
constexpr double kShortStep = 0.5;

// A wire that had less to do than this much of what it holds was starved.
constexpr double kFedShare = 0.75;

// What may be fetched ahead: enough for the wire to go on while one transfer is
// held up for that many times as long as it holds; and no more, for on a fast short
// way what lies in memory for long has left the processor's cache.
constexpr double kAhead = 8;
constexpr uint64_t kMinAhead = 16 << 20;

constexpr size_t kRateRank = 3; // the third highest of eight
constexpr Duration kTripPeriod = std::chrono::milliseconds(2500);
constexpr Duration kMinSample = std::chrono::milliseconds(100);

} // namespace

void Flow::Samples::add(double value) { values_[count_++ % kSlots] = value; }

double Flow::Samples::high(size_t k) const {
  size_t n = std::min(count_, kSlots);
  if (n == 0)
    return 0;
  std::array<double, kSlots> sorted = values_;
  std::sort(sorted.begin(), sorted.end(), std::greater<>()); // those not filled are 0
  return sorted[k * n / (kSlots + 1)];
}

double Flow::Samples::lowest() const {
  auto end = values_.begin() + static_cast<ptrdiff_t>(std::min(count_, kSlots));
  return count_ == 0 ? 0 : *std::min_element(values_.begin(), end);
}

Flow::Flow(uint32_t block_size, unsigned connections)
    : block_size_(block_size), connections_(connections), allowed_s_(kQueue_s) {}

void Flow::round_trip(uint64_t asked, Duration latency, TimePoint now) {
  if (latency <= Duration::zero())
    return;
  double trip = to_seconds(latency);
  // Not of what was sent while a queue still ran empty: taken for the server's, it
  // would be let stand, and be longer at the next look.
  if (!starting_ && static_cast<double>(asked) <= looking_bytes()) {
    thoughts_ = std::min(thoughts_ + 1, kThoughts);
    think_s_ += (std::max(0.0, trip - round_trip_s()) - think_s_) / thoughts_;
  }
  sample_trips_ += trip;
  ++sample_answers_;
  period_trip_ = period_trip_ == 0 ? trip : std::min(period_trip_, trip);
  if (trips_.lowest() == 0 || now - period_start_ >= kTripPeriod) {
    trips_.add(period_trip_);
    period_trip_ = 0;
    period_start_ = now;
  }
}

void Flow::answered(uint64_t bytes, Duration length) {
  if (bytes >= kMinAnswer && length > Duration::zero())
    bursts_.add(static_cast<double>(bytes) / to_seconds(length));
}

double Flow::answer_rate() const { return bursts_.high(kBurstRank); }

uint64_t Flow::bytes_worth_a_trip() const {
  return static_cast<uint64_t>(answer_rate() * round_trip_s());
}

void Flow::look_at_trip(TimePoint now) {
  if (now < look_end_ || starting_)
    return;
  looking_ = now - look_end_ >= kLookPeriod;
  if (looking_)
    look_end_ = now + from_seconds(kQueue_s + kLookTrips * round_trip_s());
}

void Flow::received(uint64_t bytes, TimePoint now) {
  look_at_trip(now);
  asked_ -= std::min(asked_, bytes);
  sample_least_ = std::min(sample_least_, asked_);
  round_least_ = std::min(round_least_, asked_);
  sample_bytes_ += bytes;
  round_bytes_ += bytes;
  if (starting_)
    look_for_end_of_start(now);
  Duration length = now - sample_start_;
  if (length < std::max(kMinSample, from_seconds(round_trip_s())))
    return;
  double rate = static_cast<double>(sample_bytes_) / to_seconds(length);
  if (!starved(sample_least_) || rate > bytes_per_second())
    rates_.add(rate);
  if (!starting_ && !starved(sample_least_) && sample_answers_ > 0)
    adapt(sample_trips_ / sample_answers_ - round_trip_s() - think_s_);
  begin_sample(now);
}

void Flow::begin_sample(TimePoint now) {
  sample_start_ = now;
  sample_bytes_ = 0;
  sample_least_ = asked_;
  sample_trips_ = 0;
  sample_answers_ = 0;
}

void Flow::keep_queue_short(bool wanted) {
  short_ = wanted;
  if (!wanted)
    allowed_s_ = kQueue_s;
}

// A sample's answers stood in the queue for QUEUED_S.
void Flow::adapt(double queued_s) {
  if (short_) {
    double aim_s = std::clamp(kShortTrips * round_trip_s(), kMinQueue_s, kMaxShortQueue_s);
    allowed_s_ = std::clamp(allowed_s_ + kShortStep * (aim_s - queued_s), 0.0, kQueue_s);
    if (allowed_s_ < kQueue_s) {
      gain_ = 1;
      return;
    }
  }
  if (queued_s < kShortQueue * queue_s())
    gain_ *= kGainStep;
  else if (queued_s > kLongQueue * queue_s())
    gain_ = std::max(gain_ / kGainFall, 1.0);
  gain_ = std::min(gain_, std::max(kMaxGain, double(kStartBytes) / product(1)));
}

// So little in flight leaves the queue empty.  Less than kMinBytes is hardly ever in
// flight, so that on a thin link part of that is taken for the server's time.
double Flow::looking_bytes() const {
  return std::max(kLookShare * bytes_per_second() * round_trip_s(), double(kMinBytes));
}

// Was the wire given too little to do for what came to tell anything of it?
bool Flow::starved(uint64_t least_asked) const {
  return static_cast<double>(least_asked) < kFedShare * bytes_per_second() * round_trip_s();
}

void Flow::look_for_end_of_start(TimePoint now) {
  if (round_bytes_ < round_target_)
    return;
  // One that began within a burst may be shorter than a trip, and cannot be.
  double length_s = std::max({to_seconds(now - round_start_), round_trip_s(), 1e-3});
  double rate = static_cast<double>(round_bytes_) / length_s;
  if (rate > full_rate_ * kGrowth) {
    full_rate_ = rate;
    rounds_without_growth_ = 0;
  } else if (round_target_ >= limit() / 2 && !starved(round_least_) &&
             ++rounds_without_growth_ >= kRoundsWithoutGrowth) {
    starting_ = false;
  }
  begin_round(now);
}

void Flow::begin_round(TimePoint now) {
  round_start_ = now;
  round_bytes_ = 0;
  round_target_ = std::max<uint64_t>(asked_, kMinBytes);
  round_least_ = asked_;
}

void Flow::in_flight(uint64_t asked, TimePoint now) {
  bool idle = asked_ == 0;
  asked_ = asked;
  if (idle && asked > 0) {
    begin_sample(now);
    begin_round(now);
  }
}

double Flow::bytes_per_second() const { return rates_.high(kRateRank); }

double Flow::round_trip_s() const {
  double lowest = trips_.lowest();
  return period_trip_ == 0 ? lowest : std::min(lowest, period_trip_);
}

double Flow::queue_s() const {
  return std::clamp(kQueueTrips * round_trip_s(), kMinQueue_s, kQueue_s);
}

// What the rate brings in so many round trips, in the time that the server thinks, and
// in what may stand in the queue.
double Flow::product(double trips) const {
  double queue_s = std::min(allowed_s_, std::max(kQueueTrips * round_trip_s(), kShortWay_s));
  return bytes_per_second() * (trips * round_trip_s() + think_s_ + queue_s);
}

uint64_t Flow::limit() const { return limit(gain_); }

uint64_t Flow::limit(double gain) const {
  if (bytes_per_second() == 0 || round_trip_s() == 0)
    return kStartBytes;
  // A start that asked only for what a connection in slow start brings would
  // measure nothing else: then twice what is on the wire, as slow start does.
  double bytes = looking_ ? looking_bytes() : gain * product(starting_ ? 2 : 1);
  // The most that all connections together can be asked for.
  uint64_t most = connections_ * std::max<uint64_t>(kMaxTransfer, block_size_);
  return std::clamp(static_cast<uint64_t>(bytes),
                    std::min(starting_ ? kStartBytes : kMinBytes, most), most);
}

uint64_t Flow::ahead_bytes() const {
  double bytes = kAhead * bytes_per_second() * (round_trip_s() + think_s_ + queue_s());
  if (bytes == 0)
    return static_cast<uint64_t>(kAhead) * kStartBytes;
  return std::max({static_cast<uint64_t>(bytes), kMinAhead, 2 * limit()});
}

uint64_t Flow::transfer_bytes() const {
  // Longer where each connection brings little, for each transfer costs one of them a
  // round trip; but a window should still have many.
  uint64_t share =
      limit(std::min(gain_, kMaxGain)) / std::min<uint64_t>(kTransfers, connections_);
  uint64_t bytes = std::bit_floor(std::clamp(share, kMinTransfer, kMaxTransfer));
  return std::max<uint64_t>(bytes, block_size_);
}

} // namespace httpcache
