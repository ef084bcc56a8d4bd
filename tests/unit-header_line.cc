// SPDX-License-Identifier: BSD-3-Clause
// Copyright the httpcache authors
//
// unit-header_line.cc - which headers can be sent, and why others cannot.
#include "header_line.h"

#include "catch.h"

using namespace httpcache;

TEST_CASE("a header is a name, a colon and a value", "[header_line]") {
  for (const char *good :
       {"X-A: b", "X-A:b", "X-A:", "X-A;", "X-A: b: c; d", "X-A:\tb", "a.b_c~d: \xc3\xbc"}) {
    INFO(good);
    CHECK(why_no_header(good).empty());
  }
  const struct {
    std::string_view line, why;
  } cases[] = {
      {"", "a colon and a value"},
      {"words", "a colon and a value"},
      {"X-A; b", "and ';' to send it empty"},
      {"X-A: b\r", "control characters"},
      {std::string_view("X-A: b\0c", 8), "control characters"},
      {std::string_view("X\0A: b", 6), "control characters"},
      {": b", "letters, digits"},
      {"X A: b", "letters, digits"},
      {" X-A: b", "letters, digits"},
      {"X-\xc3\xbc: b", "letters, digits"},
      {"range: bytes=0-1", "could not be checked"},
      {"If-Match: x", "could not be checked"},
      {"IF-RANGE: x", "could not be checked"},
  };
  for (const auto &c : cases) {
    INFO(c.line);
    CHECK(why_no_header(c.line).find(c.why) != std::string_view::npos);
  }
}

TEST_CASE("a header's name and value", "[header_line]") {
  CHECK(header_name("X-A: b: c") == "X-A");
  CHECK(header_value("X-A: b: c") == " b: c");
  CHECK(header_name("X-A;") == "X-A");
  CHECK(header_value("X-A;").empty());
  CHECK(header_name("words") == "words");
  CHECK(header_value("words").empty());
}

TEST_CASE("cookies are names and values", "[header_line]") {
  CHECK(why_no_cookie("a=b").empty());
  CHECK(why_no_cookie("a=b; c=d==").empty());
  CHECK(why_no_cookie("token").find("NAME=VALUE") == 8);
  CHECK(why_no_cookie("cookie: a=b").find("behind 'Cookie: '") != std::string_view::npos);
  CHECK(why_no_cookie("a=b\rc").find("control characters") != std::string_view::npos);
}
