// SPDX-License-Identifier: BSD-3-Clause
// Copyright the httpcache authors
//
// unit-netrc.cc - files of logins: what is understood, and whose login it is.
#include "netrc.h"

#include "catch.h"

using namespace httpcache;

namespace {

Netrc parsed(std::string_view text) {
  Result<Netrc> netrc = Netrc::parse(text);
  INFO((netrc.ok() ? "" : netrc.error().what));
  REQUIRE(netrc.ok());
  return netrc.value();
}

std::string login(const Netrc &netrc, std::string_view host, bool allow_default) {
  const Netrc::Entry *entry = netrc.find(host, allow_default);
  return entry == nullptr ? "none" : entry->login + ":" + entry->password;
}

} // namespace

TEST_CASE("each host has its login, in lines or in one", "[netrc]") {
  Netrc netrc = parsed("machine a.example login ann password one\n"
                       "machine B.Example\r\n\tlogin bob\r\n\tpassword two\r\n"
                       "machine c.example login carl\n"
                       "machine a.example login late password three\n");
  CHECK(login(netrc, "a.example", false) == "ann:one");
  CHECK(login(netrc, "b.example", false) == "bob:two");
  CHECK(login(netrc, "c.example", false) == "carl:");
  CHECK(login(netrc, "d.example", true) == "none");
  CHECK(login(netrc, "example", true) == "none");
}

TEST_CASE("the default is for whom it is allowed", "[netrc]") {
  Netrc netrc = parsed("machine a login ann password one\ndefault login any password two");
  CHECK(login(netrc, "b", true) == "any:two");
  CHECK(login(netrc, "b", false) == "none");
  CHECK(login(netrc, "a", false) == "ann:one");
}

TEST_CASE("comments, quotes, accounts and macros", "[netrc]") {
  Netrc netrc = parsed("# machine x login y password z\n"
                       "machine a login \"a n\\\"n\" password \"\\\\o ne\\t\" account zero\n"
                       "macdef init\ncd /machine\nlogin\n\n"
                       "machine b login bob password #hash\n");
  CHECK(login(netrc, "a", false) == "a n\"n:\\o ne\t");
  CHECK(login(netrc, "b", false) == "bob:#hash");
  CHECK(netrc.entries().size() == 2);
  CHECK(parsed("").entries().empty());
  CHECK(parsed("\n#x").entries().empty());
}

TEST_CASE("what cannot be understood is told by its line, without the secret", "[netrc]") {
  const struct {
    const char *text, *told;
  } cases[] = {
      {"machine a\nlogin b\npassword SECRET SECRET", "line 3: neither"},
      {"machine a login b password \"SECRET", "line 1: a double quote is not closed"},
      {"machine a\nlogin", "line 2: nothing follows 'login'"},
      {"\nlogin SECRET", "line 2: 'login' before any machine"},
      {"<html>", "line 1: neither"},
      {"\"SECRET", "double quote"},
  };
  for (const auto &c : cases) {
    Result<Netrc> netrc = Netrc::parse(c.text);
    INFO(c.text);
    REQUIRE_FALSE(netrc.ok());
    INFO(netrc.error().what);
    CHECK(netrc.error().what.find(c.told) != std::string::npos);
    CHECK(netrc.error().what.find("SECRET") == std::string::npos);
  }
}
