// SPDX-License-Identifier: BSD-3-Clause
// Copyright the httpcache authors
//
// flow.h - how many bytes to keep asked for, from what the link is seen to do.
//
// What is asked for and has not come yet must be at least a bandwidth-delay
// product, or the wire idles; and less than that plus the bottleneck's queue,
// or the connections overfill it together, packets drop, and everybody waits
// for the one that stalls.  Any fixed number is wrong on another link, so its
// factors are measured:
//
//   rate        bytes a second over all connections, a high one of late, not
//               the highest: after a stall the kernel hands over in a moment
//               what came in a second.  Of a time when little was asked for, it
//               counts only if it is higher: it says nothing of the link
//   round trip  the shortest time of late from request to first byte
//   think time  what answers take longer than that on average while nothing stands
//               in the queue, which is let run empty now and then to see both
//
// limit() is what the rate brings in trip, think time and a little more, which may
// stand in the bottleneck's queue; in two round trips, and at least kStartBytes, until
// the rate has stopped growing.  And more, step by step, while answers do not
// stand in a queue: then it is not the bottleneck but the connections that bring
// no more (packets get lost at random, and each sends what little it dares), and
// asking for less would only make the rate less still, and so on.  It grows by
// itself: as long as the wire has room, more bytes in flight give a higher rate,
// which allows more in flight.
//
// Pure: the time is passed in.  Threads: none (the engine's).  Units: bytes,
// seconds.  Errors: none.
#ifndef HTTPCACHE_FLOW_H
#define HTTPCACHE_FLOW_H

#include <array>
#include <cstdint>

#include "clock.h"

namespace httpcache {

class Flow {
public:
  // No transfer is shorter than BLOCK_SIZE; CONNECTIONS share the limit.
  Flow(uint32_t block_size, unsigned connections);

  // The first byte of an answer came LATENCY after its request was sent: a round
  // trip, what the server took to think, and what stood in queues.  ASKED bytes,
  // its own among them, were in flight when it was sent.
  void round_trip(uint64_t asked, Duration latency, TimePoint now);

  // An answer's body of BYTES came in LENGTH, after its first byte.
  void answered(uint64_t bytes, Duration length);

  // BYTES have come.
  void received(uint64_t bytes, TimePoint now);

  // ASKED bytes are asked for and have not come; call when it changes.
  void in_flight(uint64_t asked, TimePoint now);

  // Readers wait for single answers, or do not any more: let less stand in the
  // queue, so that theirs do not wait there.
  void keep_queue_short(bool wanted);
  bool queue_is_short() const { return short_; }

  // Most bytes to be asked for at once.
  uint64_t limit() const;
  // What a transfer of a long sequential run should bring.
  uint64_t transfer_bytes() const;

  // What the link brings in a round trip, as far as single answers show: a request
  // may ask for that much more than is needed and hardly last longer.
  uint64_t bytes_worth_a_trip() const;

  // What all windows together may hold.
  uint64_t ahead_bytes() const;

  // What single answers bring; 0: none was long enough to say.
  double answer_rate() const;

  double bytes_per_second() const;
  double round_trip_s() const;
  double think_s() const { return think_s_; }

private:
  static constexpr size_t kSlots = 8;

  // The last kSlots samples.
  class Samples {
  public:
    void add(double value);
    // The K'th highest, or lower in proportion as there are fewer; 0 of none.
    double high(size_t k) const;
    double lowest() const;

  private:
    std::array<double, kSlots> values_{};
    size_t count_ = 0;
  };

  void look_for_end_of_start(TimePoint now);
  void look_at_trip(TimePoint now);
  void begin_round(TimePoint now);
  void begin_sample(TimePoint now);
  void adapt(double queued_s);
  double product(double trips) const;
  uint64_t limit(double gain) const; // were gain_ this
  double looking_bytes() const;
  double queue_s() const;
  bool starved(uint64_t least_asked) const;

  uint32_t block_size_;
  unsigned connections_;
  Samples rates_;
  Samples bursts_;      // of single answers, also when the wire was idle between
  Samples trips_;       // each the lowest of a period
  double period_trip_ = 0; // the lowest of this one; 0: none yet
  TimePoint period_start_{};
  TimePoint sample_start_{};
  uint64_t sample_bytes_ = 0;
  uint64_t sample_least_ = 0; // asked, during it
  double sample_trips_ = 0;   // sum
  unsigned sample_answers_ = 0;
  double gain_ = 1;  // of limit()
  double allowed_s_; // to stand in the queue
  bool short_ = false;
  uint64_t asked_ = 0;
  bool looking_ = false; // at the trip with an empty queue, or did
  TimePoint look_end_{};
  double think_s_ = 0; // what answers took beyond the trip, on average, with an empty queue
  unsigned thoughts_ = 0; // that it is the average of
  bool starting_ = true; // the link was not seen full yet
  double full_rate_ = 0;
  unsigned rounds_without_growth_ = 0;
  TimePoint round_start_{};
  uint64_t round_bytes_ = 0;
  uint64_t round_target_ = 0;
  uint64_t round_least_ = 0;
};

} // namespace httpcache

#endif
