// SPDX-License-Identifier: BSD-3-Clause
// Copyright the httpcache authors
//
// unit-route.cc - which URL is asked when, after refusals and failures of several
// attempts in every order.
#include "route.h"

#include "catch.h"

using namespace httpcache;

namespace {

using Fate = Route::Fate;

const char *const kUrl = "https://example.com/disk?signature=secret";
const char *const kFirst = "https://store.example.net/1?signature=secret";
const char *const kSecond = "https://store.example.net/2?signature=secret";
const char *const kThird = "https://store.example.net/3?signature=secret";

constexpr RetryPolicy kPolicy = {
    .retries = 3,
    .first_delay_ms = 100,
    .max_delay_ms = 1000,
    .max_retry_after_ms = 5000,
    .deadline_ms = 60'000,
};

Error status(long status) {
  bool transient = status >= 500 || status == 429;
  return {transient ? ErrorKind::Transient : ErrorKind::Permanent, EIO, status, "", {}};
}

Error held(uint32_t seconds) {
  Error error = status(503);
  error.retry_after_s = seconds;
  return error;
}

Error unreachable() {
  Error error{ErrorKind::Transient, EIO, 0, "", {}};
  error.unreachable = true;
  return error;
}

// A route and a clock.
struct World {
  Route route;
  TimePoint at = TimePoint{} + std::chrono::hours(1);

  explicit World(const char *target = kFirst) : route(kUrl, target, kPolicy) {}
  TimePoint later(int64_t ms) { return at += from_ms(ms); }
  Route::Ticket ask() {
    CHECK(route.may_ask(at));
    return route.ask(at);
  }
  bool answered(const Route::Ticket &ticket, const char *from) {
    return route.answered(ticket, from, at);
  }
  // With the whole of each wait, random01 being 1.
  Fate failed(const Route::Ticket &ticket, const Error &error, uint64_t most_ms = UINT32_MAX) {
    return route.failed(ticket, error, at, most_ms, 1.0);
  }
  // Not before, and then.
  void check_waits(int64_t ms) {
    CHECK_FALSE(route.may_ask(at + from_ms(ms - 1)));
    CHECK(route.may_ask(at + from_ms(ms)));
  }
};

} // namespace

TEST_CASE("a target that refuses is looked for by one", "[route]") {
  for (const Error &refusal : {status(400), status(401), status(403), status(404), status(410), unreachable(),
                               Error{ErrorKind::Transient, EIO, 200, "a page", {}}}) {
    World w;
    CHECK(w.route.url() == kFirst);
    Route::Ticket one = w.ask(), two = w.ask(), three = w.ask();
    CHECK_FALSE(w.answered(one, kFirst));
    CHECK(w.failed(two, refusal) == Fate::Refused);
    CHECK(w.route.url() == kUrl);
    CHECK_FALSE(w.route.clear(w.at));
    Route::Ticket resolver = w.ask();
    CHECK(resolver.resolving);
    w.check_waits(to_ms(Route::kPatience));
    CHECK(w.failed(three, refusal) == Fate::Refused); // it changes nothing
    w.check_waits(to_ms(Route::kPatience));
    CHECK(w.route.url() == kUrl);
    CHECK(w.answered(resolver, kSecond));
    CHECK(w.route.url() == kSecond);
    CHECK(w.route.clear(w.at));
    CHECK(w.route.note().empty());
  }
}

TEST_CASE("a target may refuse again and again, if it served in between", "[route]") {
  World w;
  const char *targets[] = {kSecond, kThird, kFirst, kFirst};
  for (const char *next : targets) {
    CHECK(w.failed(w.ask(), status(403)) == Fate::Refused);
    CHECK(w.answered(w.ask(), next));
    CHECK(w.route.url() == next);
  }
}

TEST_CASE("what the new target refuses twice, too, all that wait are told", "[route]") {
  World w;
  CHECK(w.failed(w.ask(), status(403)) == Fate::Refused);
  Route::Ticket resolver = w.ask();
  CHECK(w.failed(resolver, status(403)) == Fate::Own); // of those bytes, perhaps
  CHECK(w.route.may_ask(w.at));
  CHECK(w.failed(w.ask(), status(403)) == Fate::Shared);
  CHECK(w.route.note() == " (asked https://example.com/disk?... anew, for "
                          "https://store.example.net/1?..., where it had redirected to, refused)");
  // The next reader asks the configured URL again, at once.
  CHECK(w.route.url() == kUrl);
  CHECK(w.answered(w.ask(), kSecond));
}

TEST_CASE("who was refused while another found the target asks that", "[route]") {
  World w;
  Route::Ticket slow = w.ask();
  CHECK(w.failed(w.ask(), status(403)) == Fate::Refused);
  Route::Ticket resolver = w.ask();
  w.later(to_ms(Route::kPatience));
  Route::Ticket impatient = w.ask(); // the first does not answer
  CHECK(impatient.resolving);
  CHECK(w.answered(resolver, kSecond));
  CHECK(w.failed(impatient, status(403)) == Fate::Refused);
  CHECK(w.failed(slow, status(403)) == Fate::Refused);
  CHECK(w.route.url() == kSecond);
  CHECK(w.route.clear(w.at));
  CHECK_FALSE(w.answered(slow, kFirst)); // late, of the old target: that is not asked any more
  CHECK(w.route.url() == kSecond);
}

TEST_CASE("an answer of the old target does not end the search", "[route]") {
  World w;
  Route::Ticket old = w.ask();
  CHECK(w.failed(w.ask(), status(403)) == Fate::Refused);
  Route::Ticket resolver = w.ask();
  CHECK_FALSE(w.answered(old, kFirst));
  CHECK(w.route.url() == kUrl);
  CHECK_FALSE(w.route.may_ask(w.at));
  CHECK(w.failed(resolver, status(503)) == Fate::Shared);
  w.check_waits(100);
}

TEST_CASE("one range that is refused, wherever it is asked for, is no matter of others", "[route]") {
  World w;
  CHECK(w.failed(w.ask(), status(403)) == Fate::Refused);
  CHECK(w.failed(w.ask(), status(403)) == Fate::Own);
  CHECK(w.answered(w.ask(), kFirst));
  CHECK(w.failed(w.ask(), status(403)) == Fate::Refused); // and so on
  CHECK(w.failed(w.ask(), status(403)) == Fate::Own);
}

TEST_CASE("a target that goes on failing is looked for anew", "[route]") {
  World w;
  Route::Ticket hanging = w.ask();
  for (unsigned i = 1; i <= Route::kFailures; ++i) {
    CHECK(w.route.url() == kFirst);
    CHECK(w.failed(w.ask(), status(503)) == (i == 1 ? Fate::Doubt : Fate::Shared));
    w.later(1000);
  }
  CHECK(w.route.url() == kUrl);
  Route::Ticket resolver = w.ask();
  CHECK(resolver.resolving);
  CHECK(w.route.note().ends_with("where it had redirected to, failed)"));
  SECTION("there is another") {
    CHECK(w.answered(resolver, kSecond));
    CHECK(w.route.url() == kSecond);
    CHECK_FALSE(w.answered(hanging, kFirst));
    CHECK(w.route.url() == kSecond);
  }
  SECTION("there is none") {
    CHECK(w.failed(resolver, status(503)) == Fate::Shared);
    for (unsigned i = 1; i <= Route::kFailures; ++i) {
      CHECK_FALSE(w.route.may_ask(w.at));
      w.later(1000);
      CHECK(w.route.url() == kFirst);
      CHECK(w.failed(w.ask(), status(503)) == Fate::Shared);
    }
    w.later(1000);
    CHECK(w.route.url() == kUrl); // once more
    CHECK(w.answered(w.ask(), kFirst)); // where it leads still
    CHECK(w.route.url() == kFirst);
    CHECK(w.route.clear(w.at));
  }
  SECTION("the configured URL does not know any more") {
    for (const Error &error : {status(403), status(416), unreachable(), Error{ErrorKind::Changed, EIO, 206, "", {}}}) {
      World v = w;
      CHECK(v.failed(resolver, error) == Fate::Refused); // no error of who asked
      CHECK_FALSE(v.route.may_ask(v.at));
      v.later(1000);
      CHECK(v.route.url() == kFirst);
      CHECK_FALSE(v.answered(v.ask(), kFirst));
      CHECK(v.route.clear(v.at));
    }
  }
  SECTION("it works again") {
    CHECK_FALSE(w.answered(hanging, kFirst));
    CHECK(w.route.url() == kFirst);
    CHECK(w.route.clear(w.at));
    CHECK_FALSE(w.answered(resolver, kFirst));
  }
}

TEST_CASE("without a redirect a refusal is an error", "[route]") {
  World w(kUrl);
  CHECK(w.failed(w.ask(), status(403)) == Fate::Own);
  CHECK(w.failed(w.ask(), status(404)) == Fate::Own);
  CHECK(w.route.clear(w.at));
  CHECK(w.failed(w.ask(), unreachable()) == Fate::Doubt);
  CHECK(w.route.url() == kUrl);
}

TEST_CASE("other errors of a target are no refusals", "[route]") {
  World w;
  CHECK(w.failed(w.ask(), status(405)) == Fate::Own);
  CHECK(w.failed(w.ask(), status(416)) == Fate::Own);
  CHECK(w.failed(w.ask(), Error{ErrorKind::Changed, EIO, 200, "", {}}) == Fate::Own);
  CHECK(w.route.url() == kFirst);
  CHECK(w.route.clear(w.at));
}

TEST_CASE("a target that redirects is followed once", "[route]") {
  World w;
  CHECK(w.answered(w.ask(), kSecond));
  CHECK(w.route.url() == kSecond);
}

TEST_CASE("attempts of the probe do not change the target", "[route]") {
  World w;
  Route::Ticket scout = w.route.ticket_of_probe(w.at);
  CHECK_FALSE(w.answered(scout, kUrl));
  CHECK(w.failed(scout, status(302)) == Fate::Refused); // it did not follow
  CHECK(w.route.url() == kFirst);
  CHECK(w.route.clear(w.at));
  CHECK(w.failed(w.ask(), status(302)) == Fate::Own);
}

TEST_CASE("a server in doubt is asked by one at a time, after waits that double", "[route]") {
  World w(kUrl);
  Route::Ticket a = w.ask(), b = w.ask(), c = w.ask();
  CHECK(w.failed(a, status(503)) == Fate::Doubt);
  w.check_waits(100);
  CHECK(w.failed(b, status(503)) == Fate::Doubt); // it began before: no longer wait
  CHECK(w.failed(c, unreachable()) == Fate::Doubt);
  w.check_waits(100);
  for (int64_t wait : {200, 400, 800, 1000, 1000}) {
    w.later(w.route.not_before() > w.at ? ms_between(w.at, w.route.not_before()) : 0);
    Route::Ticket trial = w.ask();
    CHECK_FALSE(w.route.may_ask(w.at));
    CHECK(w.failed(trial, status(503)) == Fate::Shared);
    w.check_waits(wait);
  }
  w.later(1000);
  CHECK_FALSE(w.answered(w.ask(), kUrl));
  CHECK(w.route.clear(w.at));
  // And then from the first wait on again.
  w.later(1);
  CHECK(w.failed(w.ask(), status(503)) == Fate::Doubt);
  w.check_waits(100);
}

TEST_CASE("a server that answers others is not in doubt", "[route]") {
  World w(kUrl);
  Route::Ticket a = w.ask(), b = w.ask();
  w.later(1);
  w.answered(a, kUrl);
  CHECK(w.failed(b, status(503)) == Fate::Own);
  CHECK(w.route.clear(w.at));
  // Its answer to what began later says nothing of then.
  w.later(1);
  CHECK(w.failed(w.ask(), status(503)) == Fate::Doubt);
}

TEST_CASE("Retry-After holds for all, up to its limit", "[route]") {
  World w(kUrl);
  Route::Ticket a = w.ask(), b = w.ask(), c = w.ask();
  w.later(1);
  w.answered(a, kUrl);
  CHECK(w.failed(b, held(2)) == Fate::Own); // even if others are answered
  w.check_waits(2000);
  w.answered(c, kUrl); // an answer does not end it
  w.check_waits(2000);
  w.later(2000);
  CHECK(w.failed(w.ask(), held(3600)) == Fate::Doubt);
  w.check_waits(5000);
}

TEST_CASE("nobody is kept waiting beyond his time but by Retry-After", "[route]") {
  World w(kUrl);
  CHECK(w.failed(w.ask(), status(503)) == Fate::Doubt);
  w.later(100);
  CHECK(w.failed(w.ask(), status(503), 130) == Fate::Shared);
  w.check_waits(130);
  w.later(130);
  // But for the first wait, however many come to their end.
  CHECK(w.failed(w.ask(), status(503), 30) == Fate::Shared);
  w.check_waits(100);
  w.later(100);
  CHECK(w.failed(w.ask(), held(1), 30) == Fate::Shared);
  w.check_waits(1000);
}

TEST_CASE("who comes when all others have given up need not wait long", "[route]") {
  World w(kUrl);
  w.failed(w.ask(), status(503));
  for (int i = 0; i < 5; i++) {
    w.later(1000);
    w.failed(w.ask(), status(503));
  }
  w.check_waits(1000);
  w.route.nobody_waits(w.at, 1.0);
  w.check_waits(100);
  CHECK_FALSE(w.route.clear(w.at + from_ms(100))); // still by one at a time
}

TEST_CASE("attempts that are dropped let the next one go, but not before Retry-After", "[route]") {
  World w(kUrl);
  w.failed(w.ask(), status(503));
  w.later(100);
  w.ask();
  CHECK_FALSE(w.route.may_ask(w.at));
  w.route.attempts_dropped();
  CHECK(w.route.may_ask(w.at));
  w.failed(w.ask(), held(2));
  w.route.attempts_dropped();
  w.check_waits(2000);
}

TEST_CASE("an attempt that ends by itself lets the next one go", "[route]") {
  World w(kUrl);
  w.failed(w.ask(), status(503));
  w.later(100);
  Error local{ErrorKind::LocalIo, ENOMEM, 0, "", {}};
  CHECK(w.failed(w.ask(), local) == Fate::Own);
  CHECK(w.route.may_ask(w.at));
}
