// SPDX-License-Identifier: BSD-3-Clause
// Copyright the httpcache authors
//
// unit-http_headers.cc - response heads, good and hostile, whole and cut.
#include "http_headers.h"

#include <random>

#include "catch.h"

using namespace httpcache;

namespace {

constexpr int64_t kNow = 1700000000; // Tue, 14 Nov 2023 22:13:20 GMT
constexpr uint64_t kMax = INT64_MAX;

// The head of LINES, as libcurl hands them over.
ResponseHead head_of(std::initializer_list<std::string_view> lines) {
  ResponseHead head;
  for (std::string_view line : lines)
    head.add_line(std::string(line) + "\r\n", kNow);
  return head;
}

ContentRange range(uint64_t first, uint64_t last) {
  return {first, last, std::nullopt};
}
ContentRange range(uint64_t first, uint64_t last, uint64_t total) {
  return {first, last, total};
}

} // namespace

TEST_CASE("Content-Range of the right form is understood", "[http_headers]") {
  const struct {
    std::string_view text;
    ContentRange range;
  } cases[] = {
      {"bytes 0-99/1000", range(0, 99, 1000)},
      {"bytes 0-0/1", range(0, 0, 1)},
      {"bytes 5-5/*", range(5, 5)},
      {"bytes */1000", {std::nullopt, std::nullopt, 1000}},
      {"bytes */0", {std::nullopt, std::nullopt, 0}},
      {"BYTES 0-99/1000", range(0, 99, 1000)},
      {"Bytes 0-99/1000", range(0, 99, 1000)},
      {"  bytes 0-99/1000  ", range(0, 99, 1000)},
      {"bytes\t0-99/1000", range(0, 99, 1000)},
      {"bytes   0-99/1000", range(0, 99, 1000)},
      {"bytes 0 - 99 / 1000", range(0, 99, 1000)},
      {"bytes * / 1000", {std::nullopt, std::nullopt, 1000}},
      {"bytes=0-99/1000", range(0, 99, 1000)},
      {"bytes: 0-99/1000", range(0, 99, 1000)},
      {"bytes 00-0099/01000", range(0, 99, 1000)},
      {"bytes 5497558138879-5497558138879/5497558138880",
       range(5497558138879, 5497558138879, 5497558138880)},
      {"bytes 9223372036854775806-9223372036854775806/9223372036854775807",
       range(kMax - 1, kMax - 1, kMax)},
      {"bytes 9223372036854775806-9223372036854775806/*",
       range(kMax - 1, kMax - 1)},
  };
  for (const auto &c : cases) {
    INFO(c.text);
    CHECK(parse_content_range(c.text) == c.range);
  }
}

TEST_CASE("Content-Range of another form is refused", "[http_headers]") {
  for (std::string_view text :
       {"",
        " ",
        "bytes",
        "bytes ",
        "bytes 0",
        "bytes 0-",
        "bytes 0-99",
        "bytes 0-99/",
        "bytes 0-/1000",
        "bytes -99/1000",
        "bytes -1-99/1000",
        "bytes --1/1000",
        "bytes 0--99/1000",
        "bytes 0-99/-1000",
        "bytes +0-99/1000",
        "bytes 0-99/1000x",
        "bytes 0-99/1000 x",
        "bytes 0-99/1000,",
        "bytes 0-9,20-29/1000",
        "bytes 0-99//1000",
        "bytes 0x0-0x10/1000",
        "bytes 0.0-99/1000",
        "bytes 0-99/1e3",
        "bytes a-b/c",
        "bytes */",
        "bytes */*",
        "bytes */x",
        "bytes *-99/1000",
        "bytes 0-*/1000",
        "bytes 99-0/1000",
        "bytes 0-1000/1000",
        "bytes 0-99/0",
        "bytes 0-99/99",
        "bytes99-100/1000",
        "0-99/1000",
        "items 0-99/1000",
        "byte 0-99/1000",
        "octets 0-99/1000",
        "*/1000",
        "bytes 0-99/9223372036854775808",
        "bytes 0-9223372036854775807/*",
        "bytes 0-9223372036854775808/*",
        "bytes 0-99/18446744073709551616",
        "bytes 0-99/99999999999999999999999999999999999999",
        "bytes 18446744073709551616-18446744073709551617/*",
        "bytes \xd9\xa1-99/1000"}) {
    INFO(text);
    CHECK_FALSE(parse_content_range(text));
  }
  CHECK_FALSE(parse_content_range(std::string_view("bytes 0-\00/1000", 16)));
  CHECK_FALSE(parse_content_range(std::string_view("bytes 0-9/1000\0", 15)));
}

TEST_CASE("Content-Length is digits", "[http_headers]") {
  CHECK(parse_content_length("0") == 0u);
  CHECK(parse_content_length(" 42 ") == 42u);
  CHECK(parse_content_length("42, 42") == 42u);
  CHECK(parse_content_length("9223372036854775807") == kMax);
  for (std::string_view text :
       {"", " ", "-1", "+1", "1.0", "1e3", "0x10", "1 2", "42,", ",42",
        "42, 43", "42,,42", "a", "9223372036854775808",
        "99999999999999999999999999"}) {
    INFO(text);
    CHECK_FALSE(parse_content_length(text));
  }
}

TEST_CASE("the three forms of a date mean the same", "[http_headers]") {
  // The example of RFC 9110 5.6.7.
  CHECK(parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT", kNow) == 784111777);
  CHECK(parse_http_date("Sunday, 06-Nov-94 08:49:37 GMT", kNow) == 784111777);
  CHECK(parse_http_date("Sun Nov  6 08:49:37 1994", kNow) == 784111777);
}

TEST_CASE("dates are counted right at the edges of the calendar",
          "[http_headers]") {
  const struct {
    std::string_view text;
    int64_t seconds;
  } cases[] = {
      {"Thu, 01 Jan 1970 00:00:00 GMT", 0},
      {"Wed, 31 Dec 1969 23:59:59 GMT", -1},
      {"Tue, 29 Feb 2000 00:00:00 GMT", 951782400},
      {"Thu, 29 Feb 2024 12:00:00 GMT", 1709208000},
      {"Fri, 01 Mar 2024 00:00:00 GMT", 1709251200},
      {"Tue, 19 Jan 2038 03:14:08 GMT", 2147483648},
      {"Fri, 31 Dec 9999 23:59:59 GMT", 253402300799},
      {"Sat, 31 Dec 2016 23:59:60 GMT", 1483228800}, // a leap second
      {"Tue Nov 14 22:13:20 2023", kNow},
      {" Tue, 14 Nov 2023 22:13:20 GMT ", kNow},
      {"tue, 14 nov 2023 22:13:20 GMT", kNow},
      // Two digits: within 50 years of now, which is 2023.
      {"Monday, 14-Nov-73 00:00:00 GMT", 3277843200},  // 2073
      {"Thursday, 14-Nov-74 00:00:00 GMT", 153619200}, // 1974
  };
  for (const auto &c : cases) {
    INFO(c.text);
    CHECK(parse_http_date(c.text, kNow) == c.seconds);
  }
}

TEST_CASE("what is no date is refused", "[http_headers]") {
  for (std::string_view text : {"",
                                "Tue",
                                "Tue, 14 Nov 2023 22:13:20",
                                "Tue, 14 Nov 2023 22:13 GMT",
                                "Tue, 14 Nov 2023 22:13:20 CET",
                                "Tue, 14 Nov 2023 22:13:20 +0000",
                                "Tue, 14 Nov 2023 24:00:00 GMT",
                                "Tue, 14 Nov 2023 22:60:00 GMT",
                                "Tue, 14 Nov 2023 22:13:61 GMT",
                                "Tue, 00 Nov 2023 22:13:20 GMT",
                                "Tue, 31 Nov 2023 22:13:20 GMT",
                                "Wed, 29 Feb 2023 00:00:00 GMT",
                                "Wed, 29 Feb 2100 00:00:00 GMT",
                                "Tue, 14 Nof 2023 22:13:20 GMT",
                                "Die, 14 Nov 2023 22:13:20 GMT",
                                "Tue, 4 Nov 2023 22:13:20 GMT",
                                "Tue, 14 Nov -023 22:13:20 GMT",
                                "Tue, 14 Nov 12023 22:13:20 GMT",
                                "2023-11-14T22:13:20Z",
                                "14 Nov 2023 22:13:20 GMT",
                                "Tue, 14 Nov 2023 22:13:20 GMT x"}) {
    INFO(text);
    CHECK_FALSE(parse_http_date(text, kNow));
  }
}

TEST_CASE("no clock is too wrong for a two-digit year", "[http_headers]") {
  for (int64_t now : {int64_t{0}, int64_t{-1}, INT64_MIN, INT64_MAX})
    CHECK(parse_http_date("Sunday, 06-Nov-94 08:49:37 GMT", now));
}

TEST_CASE("Retry-After is seconds or a date", "[http_headers]") {
  CHECK(parse_retry_after("0", kNow) == 0u);
  CHECK(parse_retry_after(" 120 ", kNow) == 120u);
  CHECK(parse_retry_after("4294967295", kNow) == UINT32_MAX);
  CHECK(parse_retry_after("4294967296", kNow) == UINT32_MAX);
  CHECK(parse_retry_after("99999999999999999999999999", kNow) == UINT32_MAX);
  CHECK(parse_retry_after("Tue, 14 Nov 2023 22:13:50 GMT", kNow) == 30u);
  CHECK(parse_retry_after("Tue, 14 Nov 2023 22:13:20 GMT", kNow) == 0u);
  CHECK(parse_retry_after("Sun, 06 Nov 1994 08:49:37 GMT", kNow) == 0u);
  CHECK(parse_retry_after("Fri, 31 Dec 9999 23:59:59 GMT", kNow) == UINT32_MAX);
  CHECK(parse_retry_after("Fri, 31 Dec 9999 23:59:59 GMT", INT64_MIN) ==
        UINT32_MAX);
  CHECK(parse_retry_after("Fri, 31 Dec 9999 23:59:59 GMT", INT64_MAX) == 0u);
  for (std::string_view text : {"", "-1", "+5", "1.5", "5 s", "soon"})
    CHECK_FALSE(parse_retry_after(text, kNow));
}

TEST_CASE("a head of an ordinary answer", "[http_headers]") {
  ResponseHead head = head_of({
      "HTTP/1.1 206 Partial Content",
      "Server: nginx",
      "content-type: application/octet-stream",
      "CONTENT-LENGTH: 100",
      "Last-Modified:Tue, 14 Nov 2023 22:13:20 GMT",
      "ETag:   \"5f-63\"  ",
      "Content-Range: bytes 0-99/1000",
      "",
  });
  CHECK(head.status == 206);
  CHECK(head.complete);
  CHECK(head.content_type == "application/octet-stream");
  CHECK(head.content_length == 100u);
  CHECK(head.last_modified == "Tue, 14 Nov 2023 22:13:20 GMT");
  CHECK(head.etag == "\"5f-63\"");
  CHECK_FALSE(head.etag_weak);
  CHECK(head.content_range == range(0, 99, 1000));
  CHECK(head.malformed.empty());
  CHECK_FALSE(head.is_encoded());
  CHECK_FALSE(head.is_multipart_byteranges());
  CHECK_FALSE(head.accept_ranges_none);
  CHECK_FALSE(head.retry_after_s);
}

TEST_CASE("status lines of all versions", "[http_headers]") {
  for (std::string_view line :
       {"HTTP/1.0 206 Partial Content", "HTTP/1.1 206", "HTTP/1.1 206 ",
        "HTTP/2 206", "HTTP/2 206 ", "HTTP/3 206", "HTTP/1.1  206 x"}) {
    INFO(line);
    CHECK(head_of({line}).status == 206);
  }
  for (std::string_view line :
       {"", "HTTP/", "HTTP/1.1", "HTTP/1.1 ", "HTTP/1.1 20", "HTTP/1.1 2060",
        "HTTP/1.1 20x", "HTTP/1.1 -06", "HTTP/x 206", "HTTP/1. 206", "HTTP 206",
        "http/1.1 206", "ICY 206 OK", "206"}) {
    INFO(line);
    CHECK(head_of({line}).status == 0);
  }
}

TEST_CASE("the last of several heads counts", "[http_headers]") {
  ResponseHead head = head_of({
      "HTTP/1.1 100 Continue",
      "",
      "HTTP/1.1 103 Early Hints",
      "Link: </x>",
      "ETag: \"hint\"",
      "",
      "HTTP/1.1 302 Found",
      "Location: /elsewhere",
      "Content-Length: 5",
      "Content-Range: garbage",
      "",
      "HTTP/1.1 206 Partial Content",
      "Content-Length: 100",
      "Content-Range: bytes 0-99/1000",
      "",
  });
  CHECK(head.status == 206);
  CHECK(head.etag.empty());
  CHECK(head.location.empty());
  CHECK(head.content_length == 100u);
  CHECK(head.malformed.empty());
}

TEST_CASE("the bytes of all heads are counted", "[http_headers]") {
  ResponseHead head;
  head.add_line("HTTP/1.1 302 Found\r\n", kNow);
  head.add_line("\r\n", kNow);
  head.add_line("HTTP/1.1 200 OK\r\n", kNow);
  head.add_line("ignored\n", kNow);
  CHECK(head.head_bytes == 20 + 2 + 17 + 8);
}

TEST_CASE("endless headers are noticed and not kept", "[http_headers]") {
  ResponseHead head = head_of({"HTTP/1.1 206 OK"});
  std::string line = "ETag: " + std::string(1000, 'x') + "\r\n";
  size_t lines = 0;
  while (!head.too_long() && lines < 10000) {
    line[6] = static_cast<char>('a' + lines % 26); // never the same twice
    head.add_line(line, kNow);
    lines++;
  }
  CHECK(lines < 300);
  size_t kept = head.etag.size();
  CHECK(kept <= kMaxHeadBytes);
  for (int i = 0; i < 1000; i++)
    head.add_line("ETag: more" + std::to_string(i) + "\r\n", kNow);
  CHECK(head.etag.size() == kept);
}

TEST_CASE("a line of 64 KiB is read", "[http_headers]") {
  std::string tag = "\"" + std::string(65536, 'e') + "\"";
  ResponseHead head = head_of({"HTTP/1.1 206 OK", "ETag: " + tag,
                               "X-Junk: " + std::string(65536, 'j'),
                               "Content-Range: bytes 0-0/1", ""});
  CHECK(head.etag == tag);
  CHECK(head.content_range == range(0, 0, 1));
  CHECK_FALSE(head.too_long());
}

TEST_CASE("trailers are ignored", "[http_headers]") {
  ResponseHead head = head_of({"HTTP/1.1 206 OK", "Content-Length: 1", "",
                               "Content-Range: bytes 0-0/1", "ETag: \"x\""});
  CHECK(head.complete);
  CHECK_FALSE(head.content_range);
  CHECK(head.etag.empty());
}

TEST_CASE("ETags are opaque", "[http_headers]") {
  const struct {
    std::string_view value;
    std::string_view etag;
    bool weak;
  } cases[] = {
      {"\"abc\"", "\"abc\"", false},
      {"W/\"abc\"", "\"abc\"", true},
      {"abc", "abc", false},
      {"\"\"", "\"\"", false},
      {"\"a b\"", "\"a b\"", false},
      {"\"unended", "\"unended", false},
      {"w/\"abc\"", "w/\"abc\"", false}, // case matters (RFC 9110 8.8.3)
      {"\"W/abc\"", "\"W/abc\"", false},
      {"\"\xff\xfe\"", "\"\xff\xfe\"", false},
      {"", "", false},
  };
  for (const auto &c : cases) {
    INFO(c.value);
    ResponseHead head =
        head_of({"HTTP/1.1 206 OK", "ETag: " + std::string(c.value)});
    CHECK(head.etag == c.etag);
    CHECK(head.etag_weak == c.weak);
    CHECK(head.malformed.empty());
  }
}

TEST_CASE("duplicates: equal ones are one, different ones are told",
          "[http_headers]") {
  ResponseHead same =
      head_of({"HTTP/1.1 206 OK", "Content-Length: 5", "Content-Length: 5",
               "Content-Range: bytes 0-4/9", "Content-Range: bytes 0-4/9",
               "ETag: \"a\"", "ETag: \"a\""});
  CHECK(same.malformed.empty());
  CHECK(same.etag == "\"a\"");

  CHECK(head_of({"HTTP/1.1 206 OK", "Content-Length: 5", "Content-Length: 6"})
            .malformed == "a second, different Content-Length '6'");
  CHECK(head_of({"HTTP/1.1 206 OK", "Content-Range: bytes 0-4/9",
                 "Content-Range: bytes 0-4/*"})
            .malformed == "a second, different Content-Range 'bytes 0-4/*'");

  // Both are kept, so that a change of either shows.
  ResponseHead etags =
      head_of({"HTTP/1.1 206 OK", "ETag: \"a\"", "ETag: W/\"b\""});
  CHECK(etags.etag == "\"a\", \"b\"");
  CHECK(etags.etag_weak);
  CHECK(head_of({"HTTP/1.1 302 OK", "Location: /a", "Location: /b"}).location ==
        "/a");
}

TEST_CASE("malformed values are told, short and escaped", "[http_headers]") {
  CHECK(head_of({"HTTP/1.1 206 OK", "Content-Range: bytes 5-1/9"}).malformed ==
        "Content-Range 'bytes 5-1/9'");
  CHECK(head_of({"HTTP/1.1 206 OK", "Content-Length: \x1b[31m"}).malformed ==
        "Content-Length '\\x1b[31m'");
  ResponseHead head =
      head_of({"HTTP/1.1 206 OK", "Content-Range: " + std::string(65536, '9'),
               "Content-Length: junk"});
  CHECK(head.malformed == "Content-Range '" + std::string(60, '9') + "...'");
}

TEST_CASE("folded lines make what they belong to malformed", "[http_headers]") {
  CHECK_FALSE(head_of({"HTTP/1.1 206 OK", "Content-Range: bytes", "  0-4/9"})
                  .malformed.empty());
  CHECK_FALSE(
      head_of({"HTTP/1.1 206 OK", "ETag: \"a", "\tb\""}).malformed.empty());
  ResponseHead unknown = head_of(
      {"HTTP/1.1 206 OK", "X-Long: a", " b", "Content-Range: bytes 0-4/9"});
  CHECK(unknown.malformed.empty());
  CHECK(unknown.content_range == range(0, 4, 9));
}

TEST_CASE("other headers that matter", "[http_headers]") {
  auto with = [](std::string_view line) {
    return head_of({"HTTP/1.1 206 OK", line});
  };
  CHECK(with("Accept-Ranges: none").accept_ranges_none);
  CHECK(with("Accept-Ranges: None").accept_ranges_none);
  CHECK_FALSE(with("Accept-Ranges: bytes").accept_ranges_none);
  CHECK(with("Content-Encoding: gzip").is_encoded());
  CHECK(with("Content-Encoding: x").is_encoded());
  CHECK_FALSE(with("Content-Encoding: Identity").is_encoded());
  CHECK_FALSE(with("Content-Encoding:").is_encoded());
  CHECK(head_of({"HTTP/1.1 206 OK", "Content-Encoding: identity",
                 "Content-Encoding: gzip"})
            .is_encoded());
  CHECK_FALSE(with("Transfer-Encoding: Chunked").is_transfer_coded());
  CHECK_FALSE(with("Transfer-Encoding: identity").is_transfer_coded());
  CHECK_FALSE(with("Accept-Ranges: bytes").is_transfer_coded());
  for (std::string_view coding : {"Transfer-Encoding: gzip, chunked", "Transfer-Encoding: gzip",
                                  "Transfer-Encoding: chunked, chunked",
                                  "Transfer-Encoding: \vchunked", "Transfer-Encoding: x"})
    CHECK(with(coding).is_transfer_coded());
  CHECK(head_of({"HTTP/1.1 206 OK", "Transfer-Encoding: gzip", "Transfer-Encoding: chunked"})
            .is_transfer_coded());
  CHECK(with("Content-Type: multipart/byteranges; boundary=x")
            .is_multipart_byteranges());
  CHECK(with("Content-Type: Multipart/ByteRanges").is_multipart_byteranges());
  CHECK_FALSE(with("Content-Type: multipart/mixed").is_multipart_byteranges());
  CHECK_FALSE(with("Content-Type: multipart").is_multipart_byteranges());
  CHECK(with("Retry-After: 7").retry_after_s == 7u);
  CHECK_FALSE(with("Retry-After: soon").retry_after_s);
  CHECK(with("Retry-After: soon").malformed.empty());
  CHECK(with("Location: /x?y").location == "/x?y");
  // A name that only begins or ends like one of ours is another.
  CHECK_FALSE(with("X-Content-Range: bytes 0-4/9").content_range);
  CHECK_FALSE(with("Content-Range-X: bytes 0-4/9").content_range);
}

TEST_CASE("junk lines do no harm to the lines around them", "[http_headers]") {
  ResponseHead head;
  head.add_line("HTTP/1.1 206 OK\n", kNow);
  for (std::string_view junk :
       {std::string_view("\0", 1), std::string_view("\0\r\n", 3),
        std::string_view(":"), std::string_view(": x"),
        std::string_view("no colon"), std::string_view("\xff\xff: \xff"),
        std::string_view("Content-Range\0: bytes 0-1/2", 27)})
    head.add_line(junk, kNow);
  head.add_line("Content-Range: bytes 0-4/9\n", kNow);
  CHECK(head.content_range == range(0, 4, 9));
  CHECK(head.malformed.empty());

  head.add_line(std::string_view("Content-Length: 5\0\r\n", 20), kNow);
  CHECK_FALSE(head.malformed.empty());
}

TEST_CASE("lines before any status line make no head", "[http_headers]") {
  ResponseHead head = head_of({"", "", "Content-Range: bytes 0-4/9", ""});
  CHECK(head.status == 0);
  CHECK_FALSE(head.complete);
}

TEST_CASE("every cut of a head is survived", "[http_headers]") {
  const std::string lines[] = {
      "HTTP/1.1 206 Partial Content\r\n",
      "Content-Length: 100\r\n",
      "Content-Range: bytes 100-199/1000\r\n",
      "ETag: W/\"abc\"\r\n",
      "Last-Modified: Tue, 14 Nov 2023 22:13:20 GMT\r\n",
      "Retry-After: Tue, 14 Nov 2023 22:13:50 GMT\r\n",
      "Content-Type: multipart/byteranges\r\n",
      "\r\n",
  };
  for (const std::string &cut : lines)
    for (size_t length = 0; length <= cut.size(); length++) {
      ResponseHead head;
      for (const std::string &line : lines)
        head.add_line(std::string_view(line).substr(
                          0, &line == &cut ? length : line.size()),
                      kNow);
      if (head.content_range) {
        // A number cut short is a number: the cut line itself cannot tell.
        CHECK(*head.content_range->first <= *head.content_range->last);
        CHECK(*head.content_range->last < *head.content_range->total);
      }
    }
  // Of Content-Range, no cut but within the last number is taken.
  std::string_view whole = "bytes 100-199/1000";
  for (size_t length = 0; length < whole.size(); length++) {
    INFO(whole.substr(0, length));
    CHECK(parse_content_range(whole.substr(0, length)).has_value() == false);
  }
}

TEST_CASE("random heads keep the invariants", "[http_headers]") {
  std::mt19937 random(7);
  const std::string_view pieces[] = {"Content-Range:",
                                     "Content-Length:",
                                     "ETag:",
                                     "Retry-After:",
                                     " ",
                                     "\t",
                                     "bytes",
                                     "0",
                                     "1",
                                     "99",
                                     "18446744073709551615",
                                     "9223372036854775807",
                                     "-",
                                     "/",
                                     "*",
                                     ",",
                                     "=",
                                     "W/",
                                     "\"",
                                     "Sun, 06 Nov 1994 08:49:37 GMT",
                                     "Sunday, 06-Nov-94",
                                     "\r",
                                     "\n",
                                     "HTTP/1.1 206",
                                     "HTTP/2",
                                     ":",
                                     "x",
                                     std::string_view("\0", 1),
                                     "\xff"};
  for (int i = 0; i < 20000; i++) {
    ResponseHead head;
    head.add_line("HTTP/1.1 206 OK\r\n", kNow);
    for (size_t lines = random() % 4; lines > 0; lines--) {
      std::string line;
      for (size_t n = random() % 10; n > 0; n--)
        line += pieces[random() % std::size(pieces)];
      head.add_line(line, kNow);
    }
    if (head.content_length)
      CHECK(*head.content_length <= kMax);
    if (const auto &r = head.content_range) {
      CHECK(r->first.has_value() == r->last.has_value());
      CHECK((r->first || r->total));
      if (r->first)
        CHECK(*r->first <= *r->last);
      if (r->first && r->total)
        CHECK(*r->last < *r->total);
      CHECK(r->total.value_or(0) <= kMax);
      CHECK(r->last.value_or(0) < kMax);
    }
    CHECK(head.malformed.find('\n') == std::string::npos);
  }
}
