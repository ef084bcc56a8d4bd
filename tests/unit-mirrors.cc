// SPDX-License-Identifier: BSD-3-Clause
// Copyright the httpcache authors
//
// unit-mirrors.cc - who is asked next, and who is set aside for how long.
#include "mirrors.h"

#include <vector>

#include "catch.h"
#include "nbdkit-stubs.h"

using namespace httpcache;

namespace {

constexpr uint32_t kBlock = 65536;

// Three mirrors, the first of which is known, and a clock.
struct World {
  std::vector<std::string> urls = {"http://a/x", "http://b/x", "http://c/x"};
  TimePoint at = TimePoint{} + std::chrono::hours(1);
  Mirrors mirrors;
  Mirror &a, &b, &c;

  explicit World(size_t n = 3, unsigned connections = 12)
      : mirrors(std::span(urls).first(n), 0, {1 << 20, {}, "http://a/x"}, {}, kBlock, connections),
        a(*mirrors.begin()), b(n > 1 ? *(mirrors.begin() + 1) : a),
        c(n > 2 ? *(mirrors.begin() + 2) : a) {}
  void all_known() {
    for (Mirror &mirror : mirrors)
      mirrors.bring_back(mirror, at);
  }
  // It brings RATE bytes a second, with a round trip of 10 ms.
  void measure(Mirror &mirror, uint64_t rate) {
    for (int i = 0; i < 100; i++) {
      mirrors.began(mirror, rate / 10, at);
      mirror.flow.round_trip(rate / 10, std::chrono::milliseconds(10), at);
      at += std::chrono::milliseconds(100);
      mirrors.arrived(mirror, rate / 10, at);
      mirrors.ended(mirror, 0, at);
    }
  }
};

} // namespace

TEST_CASE("only what is known to have the object is asked", "[mirrors]") {
  World w;
  CHECK(w.mirrors.soonest(kBlock, w.at) == &w.a);
  CHECK(w.mirrors.least_busy(w.at) == &w.a);
  CHECK(w.mirrors.soonest(kBlock, w.at, w.mirrors.bit(w.a)) == nullptr);
  CHECK(w.mirrors.known() == w.mirrors.bit(w.a));
  CHECK(w.mirrors.free_connections(w.a) == 12);
  w.mirrors.bring_back(w.b, w.at);
  CHECK(w.mirrors.soonest(kBlock, w.at, w.mirrors.bit(w.a)) == &w.b);
  CHECK(w.mirrors.free_connections(w.a) == 6);
}

// One whose answers bring all but do not end is not waited for, and not silent.
TEST_CASE("a silence begins when there is something to come", "[mirrors]") {
  World w;
  w.mirrors.began(w.a, kBlock, w.at);
  w.mirrors.arrived(w.a, kBlock, w.at);
  w.at += std::chrono::minutes(1);
  w.mirrors.began(w.a, kBlock, w.at);
  CHECK(w.a.running == 2);
  CHECK(w.a.last_heard == w.at);
  w.at += std::chrono::seconds(1);
  w.mirrors.began(w.a, kBlock, w.at);
  CHECK(w.a.last_heard == w.at - std::chrono::seconds(1));
}

TEST_CASE("a single one is never left", "[mirrors]") {
  World w(1);
  w.mirrors.set_aside(w.a, "it fails", w.at);
  CHECK(w.mirrors.healthy(w.a));
  CHECK(w.mirrors.soonest(kBlock, w.at) == &w.a);
}

TEST_CASE("those that were not measured are tried in turns", "[mirrors]") {
  World w;
  w.all_known();
  for (Mirror *expected : {&w.a, &w.b, &w.c, &w.a}) {
    Mirror *asked = w.mirrors.soonest(kBlock, w.at);
    CHECK(asked == expected);
    w.mirrors.began(*asked, kBlock, w.at);
  }
}

TEST_CASE("without a rate demand goes to whose transfers took less", "[mirrors]") {
  World w(2, 8);
  w.all_known();
  w.mirrors.began(w.a, kBlock, w.at);
  w.mirrors.began(w.b, kBlock, w.at);
  CHECK_FALSE(w.mirrors.expected_s(w.a, kBlock, w.at));
  w.mirrors.took(w.a, std::chrono::milliseconds(1));
  w.mirrors.took(w.b, std::chrono::milliseconds(600));
  for (int i = 1; i < 4; ++i) {
    CHECK(w.mirrors.soonest(kBlock, w.at) == &w.a);
    w.mirrors.began(w.a, kBlock, w.at);
  }
  CHECK(w.mirrors.soonest(kBlock, w.at) == &w.b); // the other's connections are in use
  // What is known of it gets old.
  for (int i = 0; i < 20; ++i)
    w.mirrors.took(w.a, std::chrono::seconds(1));
  CHECK(w.mirrors.expected_s(w.a, kBlock, w.at) > w.mirrors.expected_s(w.b, kBlock, w.at));
}

TEST_CASE("demand goes to who brings it soonest", "[mirrors]") {
  World w(2);
  w.all_known();
  w.measure(w.a, 10'000'000);
  w.measure(w.b, 1'000'000);
  CHECK(w.mirrors.soonest(kBlock, w.at) == &w.a);
  // With 1 MB in its way already the faster one is the slower.
  w.mirrors.began(w.a, 1'000'000, w.at);
  CHECK(w.mirrors.soonest(kBlock, w.at) == &w.b);
  w.mirrors.ended(w.a, 1'000'000, w.at);
  // What was measured long ago is tried, by one at a time.
  w.at += std::chrono::minutes(1);
  w.mirrors.began(w.a, 0, w.at);
  CHECK(w.mirrors.soonest(kBlock, w.at) == &w.b);
  w.mirrors.began(w.b, kBlock, w.at);
  CHECK(w.mirrors.expected_s(w.b, kBlock, w.at).has_value());
}

TEST_CASE("prefetch goes to who has the least of its limit in flight", "[mirrors]") {
  World w(2);
  w.all_known();
  w.measure(w.a, 1'000'000'000);
  w.measure(w.b, 10'000'000);
  uint64_t given_a = 0, given_b = 0;
  while (Mirror *mirror = w.mirrors.least_busy(w.at)) {
    (mirror == &w.a ? given_a : given_b) += kBlock;
    w.mirrors.began(*mirror, kBlock, w.at);
    REQUIRE(given_a + given_b < 100'000'000);
    if (mirror->running == w.mirrors.reserved_connections(*mirror) + 2) // more connections
      mirror->running = 1;
  }
  CHECK(given_a > given_b);
  CHECK(given_b > 0);
  CHECK(given_a + given_b <= w.mirrors.limit());
}

TEST_CASE("who is aside is asked only when all are", "[mirrors]") {
  World w(2);
  w.all_known();
  w.mirrors.set_aside(w.a, "it fails", w.at);
  CHECK_FALSE(w.mirrors.healthy(w.a));
  CHECK(w.mirrors.free_connections(w.b) == 12);
  for (int i = 0; i < 12; i++) {
    CHECK(w.mirrors.soonest(kBlock, w.at) == &w.b);
    w.mirrors.began(w.b, kBlock, w.at);
  }
  CHECK(w.mirrors.soonest(kBlock, w.at) == nullptr);
  for (int i = 0; i < 12; i++)
    w.mirrors.ended(w.b, kBlock, w.at);
  CHECK(w.mirrors.other_healthy(0));
  w.mirrors.set_aside(w.b, "it fails, too", w.at);
  CHECK_FALSE(w.mirrors.other_healthy(0));
  CHECK(w.mirrors.soonest(kBlock, w.at) == &w.a);
  CHECK(w.mirrors.soonest(kBlock, w.at, w.mirrors.bit(w.a)) == &w.b);
}

TEST_CASE("each time it is aside for longer, unless it has served meanwhile", "[mirrors]") {
  World w(2);
  w.all_known();
  auto aside_s = [&] {
    w.mirrors.set_aside(w.a, "it fails", w.at);
    double s = to_seconds(w.a.check_at - w.at);
    w.at = w.a.check_at;
    w.mirrors.bring_back(w.a, w.at);
    return s;
  };
  for (double expected : {1, 2, 4, 8, 16, 32, 60, 60})
    CHECK(aside_s() == expected);
  w.at += std::chrono::seconds(61);
  CHECK(aside_s() == 1);
}

TEST_CASE("nor if it has given many good answers", "[mirrors]") {
  World w(2);
  w.all_known();
  auto aside_s = [&](unsigned answers) {
    w.mirrors.set_aside(w.a, "it fails", w.at);
    double s = to_seconds(w.a.check_at - w.at);
    w.mirrors.bring_back(w.a, w.at);
    for (unsigned i = 0; i < answers; i++)
      w.mirrors.answered(w.a, w.at, w.at);
    return s;
  };
  CHECK(aside_s(Mirrors::kGoodAnswers - 1) == 1);
  CHECK(aside_s(Mirrors::kGoodAnswers - 1) == 2);
  CHECK(aside_s(Mirrors::kGoodAnswers) == 4);
  CHECK(aside_s(0) == 1);
}

TEST_CASE("each is warned of once a minute, whatever brings it back", "[mirrors]") {
  World w(2);
  w.all_known();
  nbdkit_stubs::take_errors();
  auto fails_and_answers = [&] {
    w.mirrors.set_aside(w.a, "it fails", w.at);
    w.at += std::chrono::seconds(1);
    w.mirrors.answered(w.a, w.at, w.at);
    return nbdkit_stubs::take_errors();
  };
  const std::vector<std::string> told = {
      "warning: the mirror http://a/x is set aside for a while: it fails",
      "warning: the mirror http://a/x is used again"};
  CHECK(fails_and_answers() == told);
  for (int i = 0; i < 59; i++)
    CHECK(fails_and_answers().empty());
  CHECK(fails_and_answers() == told);
}

TEST_CASE("no check before its Retry-After, up to a minute", "[mirrors]") {
  World w(2);
  w.all_known();
  auto check_s = [&] { return to_seconds(w.a.check_at - w.at); };
  w.mirrors.set_aside(w.a, "it fails", w.at, 15);
  CHECK(check_s() == 15);
  w.mirrors.check_later(w.a, w.at, 1);
  CHECK(check_s() == 2); // the least, by now
  w.mirrors.check_later(w.a, w.at, 3600);
  CHECK(check_s() == 60);
  w.mirrors.check_later(w.a, w.at, std::nullopt);
  CHECK(check_s() == 8);
}

TEST_CASE("only an answer to what was asked since brings it back", "[mirrors]") {
  World w(2);
  w.all_known();
  TimePoint begun = w.at;
  w.at += std::chrono::seconds(1);
  w.mirrors.set_aside(w.a, "it fails", w.at);
  w.mirrors.answered(w.a, begun, w.at);
  CHECK(w.a.aside);
  w.mirrors.answered(w.a, w.at, w.at);
  CHECK_FALSE(w.a.aside);
}

TEST_CASE("three transfers in a row that others had to bring show a slow one", "[mirrors]") {
  World w(2);
  CHECK_FALSE(w.mirrors.overtaken(w.a));
  CHECK_FALSE(w.mirrors.overtaken(w.a));
  w.mirrors.delivered(w.a);
  CHECK_FALSE(w.mirrors.overtaken(w.a));
  CHECK_FALSE(w.mirrors.overtaken(w.a));
  CHECK(w.mirrors.overtaken(w.a));
}

TEST_CASE("one that is in doubt is asked once, the other meanwhile", "[mirrors]") {
  World w(2);
  w.all_known();
  Error error{ErrorKind::Transient, EIO, 503, "", {}};
  w.a.route.failed(w.a.route.ask(w.at), error, w.at, UINT32_MAX, 1.0);
  CHECK(w.mirrors.may_ask(w.at));
  CHECK(w.mirrors.soonest(kBlock, w.at) == &w.b);
  CHECK(w.mirrors.next_may_ask(w.at) == w.a.route.not_before());
  CHECK_FALSE(w.mirrors.may_ask(w.at, w.mirrors.bit(w.b)));
  w.mirrors.set_aside(w.b, "it fails", w.at);
  CHECK_FALSE(w.mirrors.may_ask(w.at)); // a is not aside, and must be waited for
  CHECK(w.mirrors.not_before() == w.a.route.not_before());
}
