// SPDX-License-Identifier: BSD-3-Clause
// Copyright the httpcache authors
//
// unit-renewal.cc - when scripts run again, what they may print, and what is told of it.
#include "renewal.h"

#include <poll.h>

#include "catch.h"
#include "redact.h"

using namespace httpcache;

namespace {

using std::chrono::seconds;

Config with_header(const std::string &script, uint32_t renew_s = 0) {
  Config config;
  config.url_as_given = "https://host/disk?a=b";
  config.header_script = script;
  config.header_script_renew_s = renew_s;
  return config;
}

Config with_cookie(const std::string &script) {
  Config config;
  config.cookie_script = script;
  return config;
}

// Drives a round to its end.
Result<void> round(Renewal &renewal, TimePoint at) {
  for (;;) {
    if (std::optional<Result<void>> ended = renewal.tend(at))
      return *ended;
    pollfd pipes[2] = {};
    for (size_t i = 0; i < 2; ++i)
      pipes[i] = {renewal.descriptors()[i], POLLIN, 0};
    poll(pipes, 2, 1);
  }
}

// A round that must be due, and work.
void renewed(Renewal &renewal, TimePoint at) {
  REQUIRE_FALSE(renewal.current(at));
  Result<void> ended = round(renewal, at);
  INFO((ended.ok() ? "" : ended.error().what));
  REQUIRE(ended.ok());
  REQUIRE(renewal.current(at));
  CHECK_FALSE(renewal.tend(at)); // its end is told once
}

Error failed(Renewal &renewal, TimePoint at) {
  REQUIRE_FALSE(renewal.current(at));
  Result<void> ended = round(renewal, at);
  REQUIRE_FALSE(ended.ok());
  CHECK_FALSE(renewal.current(at)); // the next one may work
  return ended.error();
}

using Headers = std::vector<std::string>;

bool has(const std::string &text, std::string_view part) { return text.find(part) != text.npos; }

} // namespace

TEST_CASE("without scripts nothing is due", "[renewal]") {
  Renewal renewal{Config()};
  CHECK(renewal.names().empty());
  CHECK(renewal.current(now()));
  CHECK_FALSE(renewal.tend(now()));
  CHECK(renewal.next_look() == TimePoint::max());
  CHECK(renewal.given()->number == 0);
  CHECK(renewal.given()->headers.empty());
  CHECK(renewal.given()->cookie.empty());
}

TEST_CASE("scripts run once, and know the URL and how often they ran", "[renewal]") {
  Config config = with_header("echo \"X-A: $url $iteration\"; echo; echo 'X-B: b \t\r'; echo 'X-C;'");
  config.cookie_script = "echo; echo \"a=$iteration; b=c\"";
  Renewal renewal(config);
  CHECK(renewal.names() == "header-script= and cookie-script=");
  TimePoint at = now();
  renewed(renewal, at);
  CHECK(renewal.given()->number == 1);
  CHECK(renewal.given()->headers == Headers{"X-A: https://host/disk?a=b 0", "X-B: b", "X-C;"});
  CHECK(renewal.given()->cookie == "a=0; b=c");
  CHECK(renewal.current(at + std::chrono::hours(1000)));
}

TEST_CASE("nothing printed is nothing sent", "[renewal]") {
  Config config = with_header("true");
  config.cookie_script = "true";
  Renewal renewal(config);
  renewed(renewal, now());
  CHECK(renewal.given()->number == 1);
  CHECK(renewal.given()->headers.empty());
  CHECK(renewal.given()->cookie.empty());
}

TEST_CASE("what is too old is got anew, and nothing else", "[renewal]") {
  Config config = with_header("echo X-N: $iteration", 50);
  config.cookie_script = "echo n=$iteration";
  config.cookie_script_renew_s = 70;
  Renewal renewal(config);
  TimePoint at = now();
  renewed(renewal, at);
  CHECK(renewal.current(at + seconds(49)));
  renewed(renewal, at + seconds(50));
  CHECK(renewal.given()->number == 2);
  CHECK(renewal.given()->headers == Headers{"X-N: 1"});
  CHECK(renewal.given()->cookie == "n=0");
  CHECK(renewal.current(at + seconds(69)));
  renewed(renewal, at + seconds(70));
  CHECK(renewal.given()->headers == Headers{"X-N: 1"});
  CHECK(renewal.given()->cookie == "n=1");
  CHECK(renewal.current(at + seconds(99)));
  CHECK_FALSE(renewal.current(at + seconds(100)));
}

TEST_CASE("what is refused is got anew, once for all who used it", "[renewal]") {
  Config config = with_header("echo X-N: $iteration");
  config.cookie_script = "echo n=$iteration";
  Renewal renewal(config);
  TimePoint at = now();
  renewed(renewal, at);

  // It is new: to get another like it would not help.
  CHECK_FALSE(renewal.worth_renewing(1, at));
  CHECK_FALSE(renewal.worth_renewing(1, at + Renewal::kNew - std::chrono::milliseconds(1)));
  CHECK(renewal.worth_renewing(1, at + Renewal::kNew));
  renewal.accepted(1);
  CHECK(renewal.worth_renewing(1, at));

  renewal.refused(1);
  renewal.refused(1);
  CHECK(renewal.worth_renewing(1, at)); // wait with the others
  renewed(renewal, at);
  CHECK(renewal.given()->headers == Headers{"X-N: 1"});
  CHECK(renewal.given()->cookie == "n=1");
  // Somebody was answered late.
  CHECK(renewal.worth_renewing(1, at));
  renewal.refused(1);
  CHECK(renewal.current(at));
  // The old one's acceptance says nothing of the new.
  renewal.accepted(1);
  CHECK_FALSE(renewal.worth_renewing(2, at));
}

TEST_CASE("what was got anew in vain is not got again for a while", "[renewal]") {
  Renewal renewal(with_header("echo X-N: $iteration"));
  TimePoint at = now();
  renewed(renewal, at);
  renewal.accepted(1);
  renewal.refused(1);
  renewed(renewal, at);
  renewal.accepted(2); // for another place
  renewal.refused_again(1);
  CHECK(renewal.worth_renewing(2, at));
  renewal.refused_again(2);
  CHECK_FALSE(renewal.worth_renewing(2, at));
  CHECK(renewal.worth_renewing(2, at + Renewal::kNew));
  renewal.refused(2);
  renewed(renewal, at);
  renewal.accepted(3);
  CHECK(renewal.worth_renewing(3, at));
}

TEST_CASE("a refusal during a round has all that it leaves out run, once", "[renewal]") {
  Config config = with_header("echo X-N: $iteration", 50);
  config.cookie_script = "echo n=$iteration";
  Renewal renewal(config);
  TimePoint at = now();
  renewed(renewal, at);
  renewal.accepted(1);
  at += seconds(50);
  REQUIRE_FALSE(renewal.current(at));
  renewal.refused(1); // before the first script may have ended
  while (!renewal.tend(at) && renewal.given()->number == 1) {
    renewal.refused(1); // again and again
    poll(nullptr, 0, 1);
  }
  CHECK(renewal.given()->number == 2);
  CHECK(renewal.given()->headers == Headers{"X-N: 1"});
  CHECK(renewal.given()->cookie == "n=1");
  CHECK(renewal.current(at));
}

TEST_CASE("a script that fails says why, once for good, later for a while", "[renewal]") {
  Renewal renewal(with_header("[ $iteration = 1 ] || { echo 'no luck today' >&2; exit 3; }; "
                              "echo X-N: $iteration"));
  TimePoint at = now();
  Error error = failed(renewal, at);
  CHECK(error.kind == ErrorKind::Permanent);
  CHECK(error.what == "header-script= ended with exit status 3; on stderr it said: no luck today "
                      "(it must print headers, such as 'Authorization: Bearer TOKEN', one a line, "
                      "and end with exit status 0)");
  CHECK(error.http_status == 0);
  renewed(renewal, at);
  renewal.accepted(1);
  renewal.refused(1);
  CHECK(failed(renewal, at).kind == ErrorKind::Transient);
  CHECK(renewal.given()->number == 1);

  CHECK(renewal.next_look() <= at); // a new round begins at once
}

TEST_CASE("a script that hangs has a time", "[renewal]") {
  Config config = with_header("read x < /dev/zero");
  TimePoint at = now();
  for (uint32_t timeout_s : {5u, 0u}) {
    config.timeout_s = timeout_s;
    Renewal renewal(config);
    REQUIRE_FALSE(renewal.current(at));
    CHECK_FALSE(renewal.tend(at));
    uint32_t seconds_given = timeout_s > 0 ? timeout_s : 60;
    CHECK_FALSE(renewal.tend(at + seconds(seconds_given - 1)));
    std::optional<Result<void>> ended = renewal.tend(at + seconds(seconds_given));
    REQUIRE(ended);
    REQUIRE_FALSE(ended->ok());
    INFO(ended->error().what);
    CHECK(has(ended->error().what, "header-script= did not end within " +
                                       std::to_string(seconds_given) +
                                       " seconds, and was killed (" ));
    CHECK(has(ended->error().what, timeout_s > 0 ? "(timeout= is the time for scripts, too)"
                                                 : "(which timeout=0 leaves to scripts"));
  }
}

TEST_CASE("junk is told, and not shown", "[renewal]") {
  const struct {
    const char *script, *told;
  } headers[] = {
      {"echo SECRET-1234", "printed what is no header, in line 1: must be a name, a colon"},
      {"echo; echo X-A: b; echo SECRET SECRET: x", "in line 3: the name before the colon"},
      {"printf 'X-A: SECRET\\033[0m\\n'", "in line 1: may not hold line ends or other control"},
      {"printf 'X-A: SECRET\\000\\n'", "in line 1: may not hold line ends or other control"},
      {"echo Range: bytes=SECRET", "in line 1: answers to requests with it"},
      {"head -c 70000 /dev/zero | tr '\\000' S", "printed more than 65536 bytes"},
      {"echo 'X-A: SECRET-1234'; echo 'what of SECRET-1234' >&2; exit 1",
       "ended with exit status 1; on stderr it said: what of ***"},
      {"echo SECRET-1234; echo 'what of SECRET-1234' >&2; exit 1", "said: what of ***"},
      {"echo SECRET-1234-SECRET; printf '%0290d SECRET-1234-SECRET\\n' 0 >&2; exit 1", "00 *** ("},
      {"printf '%0400d\\n' 0 >&2; exit 1", "000 ("},
      {"printf 'a\\033b\\n' >&2; exit 1", "said: a\\x1bb ("},
      {"kill -TERM $$", "was ended by signal 15 (Terminated) ("},
  };
  for (const auto &c : headers) {
    Renewal renewal(with_header(c.script));
    Error error = failed(renewal, now());
    INFO(error.what);
    CHECK(has(error.what, "header-script= "));
    CHECK(has(error.what, c.told));
    CHECK_FALSE(has(error.what, "SECRET"));
  }
  const struct {
    const char *script, *told;
  } cookies[] = {
      {"echo SECRET", "printed what is no cookie, in line 1: must be NAME=VALUE"},
      {"printf 'a=SECRET\\001'", "in line 1: may not hold line ends or other control characters"},
      {"echo a=SECRET; echo b=SECRET", "printed 2 lines (it must print one line"},
  };
  for (const auto &c : cookies) {
    Renewal renewal(with_cookie(c.script));
    Error error = failed(renewal, now());
    INFO(error.what);
    CHECK(has(error.what, "cookie-script= "));
    CHECK(has(error.what, c.told));
    CHECK_FALSE(has(error.what, "SECRET"));
  }
}

TEST_CASE("what was printed is hidden while it may be sent", "[renewal]") {
  Config config = with_header("echo X-Renewal-Plain: renewal-value-$iteration");
  config.cookie_script = "echo id=renewal-cookie-$iteration";
  Renewal renewal(config);
  TimePoint at = now();
  CHECK(redact_text("renewal-value-0") == "renewal-value-0");
  renewed(renewal, at);
  CHECK(redact_text("renewal-value-0 renewal-cookie-0") == "*** ***");
  CHECK(redact_header_line("x-renewal-plain: short") == "x-renewal-plain: ***");
  auto of_a_request = renewal.given();
  renewal.accepted(1);
  renewal.refused(1);
  renewed(renewal, at);
  CHECK(redact_text("renewal-value-0 renewal-cookie-1") == "*** ***");
  of_a_request.reset();
  CHECK(redact_text("renewal-value-0 renewal-value-1") == "renewal-value-0 ***");
}

TEST_CASE("a round that was abandoned begins again", "[renewal]") {
  Renewal renewal(with_header("[ $iteration = 1 ] || read x < /dev/zero; echo X-N: $iteration"));
  TimePoint at = now();
  REQUIRE_FALSE(renewal.current(at));
  CHECK_FALSE(renewal.tend(at));
  CHECK((renewal.descriptors()[0] >= 0));
  renewal.abandon();
  CHECK((renewal.descriptors()[0] == -1));
  CHECK(renewal.next_look() <= at);
  renewed(renewal, at);
  CHECK(renewal.given()->headers == Headers{"X-N: 1"});
}
