// SPDX-License-Identifier: BSD-3-Clause
// Copyright the httpcache authors
//
// A simulated link with its own clock plays against Flow: transfers of the
// length that Flow asks for are started whenever its limit has room, cross a
// bottleneck of a given rate behind a given delay, and are told to Flow as the
// engine would.

#include "flow.h"

#include <algorithm>
#include <deque>
#include <functional>
#include <random>

#include "catch.h"

using namespace httpcache;

namespace {

class Link {
public:
  Link(double bytes_per_s, double trip_s, unsigned connections, uint32_t block = 256 << 10)
      : flow(block, connections), rate_(bytes_per_s), trip_s_(trip_s), connections_(connections) {}

  // Lets SECONDS pass with a reader that wants all it can get.
  void run(double seconds) {
    double end = time_s_ + seconds;
    while (time_s_ < end) {
      while (in_flight_ < flow.limit() && transfers_.size() < connections_)
        start();
      // The next piece: of the transfer that came first among those answered.
      Transfer &t = transfers_.front();
      double begins = std::max({time_s_, wire_free_s_, t.answered_s});
      uint64_t piece = std::min<uint64_t>(t.left, 16 << 10);
      wire_free_s_ = begins + static_cast<double>(piece) / rate_;
      busy_s_ += static_cast<double>(piece) / rate_;
      time_s_ = wire_free_s_;
      if (!t.begun) {
        flow.round_trip(t.asked, from_seconds(queue_counts_ ? time_s_ - t.asked_s : trip_s_), at());
        t.begun = true;
      }
      in_flight_ -= piece;
      t.left -= piece;
      flow.received(piece, at());
      if (t.left == 0) {
        transfers_.pop_front();
        flow.in_flight(in_flight_, at());
      }
    }
  }

  // Answers are told with the time that they stood in the queue, as they come.
  void count_queue() { queue_counts_ = true; }
  void set_trip(double trip_s) { trip_s_ = trip_s; }
  void set_rate(double bytes_per_s) { rate_ = bytes_per_s; }

  // The part of the time since the last call that the wire was busy.
  double utilisation() {
    double part = busy_s_ / (time_s_ - measured_from_s_);
    busy_s_ = 0;
    measured_from_s_ = time_s_;
    return part;
  }
  double product() const { return rate_ * trip_s_; }
  // What an answer now would have to wait for.
  double queue_s() const {
    return std::max(0.0, static_cast<double>(in_flight_) / rate_ - trip_s_);
  }

  Flow flow;

private:
  struct Transfer {
    double asked_s;
    double answered_s;
    uint64_t left;
    uint64_t asked; // in flight then
    bool begun = false;
  };

  TimePoint at() const { return TimePoint{} + std::chrono::hours(1) + from_seconds(time_s_); }

  void start() {
    uint64_t bytes = flow.transfer_bytes();
    in_flight_ += bytes;
    transfers_.push_back({time_s_, time_s_ + trip_s_, bytes, in_flight_});
    flow.in_flight(in_flight_, at());
  }

  double rate_, trip_s_;
  size_t connections_;
  double time_s_ = 0, wire_free_s_ = 0, busy_s_ = 0, measured_from_s_ = 0;
  uint64_t in_flight_ = 0;
  bool queue_counts_ = false;
  std::deque<Transfer> transfers_;
};

constexpr double kMbit = 1e6 / 8;

// One whose queue shows in the answers, and whose start is over.
Link busy_link(double mbit, double trip_ms) {
  Link link(mbit * kMbit, trip_ms / 1e3, 16);
  link.count_queue();
  link.run(15);
  return link;
}

} // namespace

TEST_CASE("nothing measured: some megabytes may be asked for", "[flow]") {
  Flow flow(256 << 10, 16);
  CHECK(flow.limit() == 4 << 20);
  CHECK(flow.transfer_bytes() == 512 << 10);
  CHECK(flow.bytes_per_second() == 0);
  CHECK(flow.round_trip_s() == 0);
}

TEST_CASE("a transfer is whole blocks, and never less than one", "[flow]") {
  for (uint32_t block : {4096u, 65536u, 1u << 20, 32u << 20}) {
    Flow flow(block, 16);
    CHECK(flow.transfer_bytes() >= block);
    CHECK(flow.transfer_bytes() % block == 0);
  }
}

TEST_CASE("the wire is kept full on any link, without flooding it", "[flow]") {
  for (double mbit : {1.0, 20.0, 200.0, 500.0, 2000.0, 10000.0})
    for (double trip_ms : {0.1, 1.0, 10.0, 40.0, 120.0, 300.0}) {
      CAPTURE(mbit, trip_ms);
      Link link(mbit * kMbit, trip_ms / 1e3, 16);
      link.count_queue();
      link.run(20);
      link.utilisation();
      link.run(10);
      // Sixteen connections with 4 MiB each are the most that is in flight.
      double most = 16 * double(4 << 20);
      double reachable = std::min(1.0, most / 2 / link.product());
      CHECK(link.utilisation() > 0.95 * reachable);
      double limit = static_cast<double>(link.flow.limit());
      double rate = mbit * kMbit;
      CHECK(limit <= std::max(1.3 * rate * (trip_ms / 1e3 + 0.080), double(4 << 20)));
    }
}

TEST_CASE("a link that becomes slower is noticed, and one that becomes faster", "[flow]") {
  Link link(500 * kMbit, 0.040, 16);
  link.run(10);
  CHECK(link.flow.bytes_per_second() == Approx(500 * kMbit).epsilon(0.1));
  link.set_rate(50 * kMbit);
  link.run(10);
  CHECK(link.flow.bytes_per_second() == Approx(50 * kMbit).epsilon(0.2));
  link.set_rate(500 * kMbit);
  link.run(10);
  CHECK(link.flow.bytes_per_second() > 400 * kMbit);
}

TEST_CASE("a queue of our own making is not taken for a longer way", "[flow]") {
  for (double mbit : {200.0, 500.0, 2000.0})
    for (double trip_ms : {10.0, 40.0, 120.0}) {
      CAPTURE(mbit, trip_ms);
      Link link = busy_link(mbit, trip_ms);
      uint64_t soon = link.flow.limit();
      link.utilisation();
      link.run(300);
      CHECK(link.flow.limit() < soon * 13 / 10);
      CHECK(link.utilisation() > 0.98);
    }
}

TEST_CASE("a way that becomes longer is noticed", "[flow]") {
  Link link(200 * kMbit, 0.020, 16);
  link.count_queue();
  link.run(15);
  link.set_trip(0.200);
  link.run(60);
  link.utilisation();
  link.run(20);
  CHECK(link.utilisation() > 0.95);
}

TEST_CASE("one burst after a stall is not taken for the rate", "[flow]") {
  Flow flow(256 << 10, 16);
  TimePoint t = TimePoint{} + std::chrono::hours(1);
  flow.in_flight(8 << 20, t);
  for (int i = 0; i < 100; ++i) { // 10 MB/s
    t += std::chrono::milliseconds(100);
    flow.received(1'000'000, t);
  }
  t += std::chrono::milliseconds(100);
  flow.received(20'000'000, t);
  CHECK(flow.bytes_per_second() < 12e6);
}

TEST_CASE("the round trip is the shortest of late", "[flow]") {
  Flow flow(256 << 10, 16);
  TimePoint t = TimePoint{} + std::chrono::hours(1);
  flow.round_trip(8 << 20, std::chrono::milliseconds(200), t);
  flow.round_trip(8 << 20, std::chrono::milliseconds(40), t);
  flow.round_trip(8 << 20, std::chrono::milliseconds(90), t);
  CHECK(flow.round_trip_s() == Approx(0.040));
  for (int i = 0; i < 60; ++i) { // another route
    t += std::chrono::seconds(1);
    flow.round_trip(8 << 20, std::chrono::milliseconds(120), t);
  }
  CHECK(flow.round_trip_s() == Approx(0.120));
}

TEST_CASE("a time when little was asked for says nothing of the link", "[flow]") {
  Link link(200 * kMbit, 0.120, 16);
  link.run(10);
  double rate = link.flow.bytes_per_second();
  CHECK(rate == Approx(200 * kMbit).epsilon(0.1));
  // Readers held up by one block: nothing new is asked for, and the last of what
  // was comes in drops.
  TimePoint at = TimePoint{} + std::chrono::hours(2);
  link.flow.in_flight(256 << 10, at);
  for (int i = 0; i < 16; ++i) {
    at += std::chrono::milliseconds(130);
    link.flow.received(16 << 10, at);
  }
  CHECK(link.flow.bytes_per_second() == rate);
}

TEST_CASE("what is worth a round trip follows single answers", "[flow]") {
  Flow flow(256 << 10, 16);
  CHECK(flow.bytes_worth_a_trip() == 0);
  TimePoint at = TimePoint{} + std::chrono::hours(1);
  flow.round_trip(8 << 20, std::chrono::milliseconds(40), at);
  // 25 MB/s, read one at a time with pauses between.
  for (int i = 0; i < 8; ++i)
    flow.answered(250'000, std::chrono::milliseconds(10));
  CHECK(flow.bytes_worth_a_trip() == Approx(1e6).epsilon(0.01));
  // One that came out of the kernel's buffer in no time does not count, nor do
  // short ones.
  flow.answered(250'000, std::chrono::microseconds(10));
  flow.answered(1000, std::chrono::microseconds(1));
  CHECK(flow.bytes_worth_a_trip() == Approx(1e6).epsilon(0.01));
}

TEST_CASE("on a short way little is in flight, and the wire full", "[flow]") {
  for (double trip_ms : {0.1, 0.5, 1.0}) {
    CAPTURE(trip_ms);
    Link link = busy_link(10'000, trip_ms);
    link.utilisation();
    link.run(2);
    CHECK(double(link.flow.limit()) < 10'000 * kMbit * 0.025);
    CHECK(link.utilisation() > 0.98);
  }
}

TEST_CASE("beside readers of single answers the queue is short and the wire full", "[flow]") {
  // On a thinner link two blocks are a longer queue, and less is never asked for.
  for (double mbit : {200.0, 500.0, 2000.0})
    for (double trip_ms : {10.0, 40.0, 120.0}) {
      CAPTURE(mbit, trip_ms);
      Link link = busy_link(mbit, trip_ms);
      double before = link.queue_s();
      link.flow.keep_queue_short(true);
      CHECK(link.flow.queue_is_short());
      link.run(5);
      link.utilisation();
      double sum = 0;
      for (int i = 0; i < 20; ++i) {
        link.run(0.1);
        sum += link.queue_s();
      }
      // One transfer may be too much already.
      double one = static_cast<double>(link.flow.transfer_bytes()) / (mbit * kMbit);
      CHECK(sum / 20 < 0.025 + one);
      CHECK(link.utilisation() > 0.9);
      link.flow.keep_queue_short(false);
      link.run(5);
      CHECK(link.queue_s() > before / 2);
    }
}

// No queue anywhere: each of 14 connections brings EACH bytes a second, once the
// server has thought for so long.  What part of what they could bring do they?
using Think = std::function<double(std::minstd_rand &)>; // seconds

static double utilisation_without_queue(double each, const Think &think, bool keep_queue_short) {
  constexpr double kStep_s = 0.005, kTrip_s = 0.060;
  constexpr size_t kConnections = 14;
  struct Transfer {
    uint64_t asked; // in flight then
    double trip_s;
    double answered_s;
    double left;
  };
  Flow flow(256 << 10, 16);
  flow.keep_queue_short(keep_queue_short);
  std::minstd_rand random(1);
  std::deque<Transfer> transfers;
  double in_flight = 0, came = 0, thought = 0, asked = 0;
  auto tell = [&](TimePoint at) { flow.in_flight(static_cast<uint64_t>(in_flight), at); };
  for (double s = 0; s < 90; s += kStep_s) {
    TimePoint at = TimePoint{} + std::chrono::hours(1) + from_seconds(s);
    while (in_flight + double(flow.transfer_bytes()) <= double(flow.limit()) &&
           transfers.size() < kConnections) {
      double trip = kTrip_s + think(random), bytes = double(flow.transfer_bytes());
      in_flight += bytes;
      transfers.push_back({static_cast<uint64_t>(in_flight), trip, s + trip, bytes});
      tell(at);
      if (s >= 60) {
        thought += trip;
        asked += bytes;
      }
    }
    for (Transfer &t : transfers) {
      if (s < t.answered_s)
        continue;
      double n = std::min(t.left, each * kStep_s);
      t.left -= n;
      in_flight -= n;
      flow.received(static_cast<uint64_t>(n), at);
      came += s < 60 ? 0 : n;
      if (t.left <= 0)
        flow.round_trip(t.asked, from_seconds(t.trip_s), at);
    }
    std::erase_if(transfers, [](const Transfer &t) { return t.left <= 0; });
    tell(at);
  }
  // All connections busy all the time, be it with waiting for an answer.
  double possible = kConnections * asked / (thought + asked / each);
  return came / 30 / possible;
}

TEST_CASE("connections that each bring little are all used", "[flow]") {
  for (double each : {0.3e6, 1e6, 2.5e6})
    for (bool keep_queue_short : {false, true}) {
      CAPTURE(each, keep_queue_short);
      CHECK(utilisation_without_queue(each, [](auto &) { return 0; }, keep_queue_short) > 0.8);
    }
}

TEST_CASE("a server that thinks for now long, now short is no queue", "[flow]") {
  auto up_to = [](double s) {
    return [s](std::minstd_rand &random) { return std::uniform_real_distribution<double>(0, s)(random); };
  };
  Think cold_disk = [](std::minstd_rand &random) { return random() % 5 == 0 ? 0.4 : 0.0; };
  for (const Think &think : {Think(up_to(0.02)), Think(up_to(0.08)), Think(up_to(0.3)), cold_disk})
    for (double each : {2.5e6, 8e6})
      for (bool keep_queue_short : {false, true}) {
        CAPTURE(each, keep_queue_short);
        CHECK(utilisation_without_queue(each, think, keep_queue_short) > 0.5);
      }
}
