// SPDX-License-Identifier: BSD-3-Clause
// Copyright the httpcache authors
//
// unit-config.cc - parameters: what is taken, what is refused, and the words.
#include "config.h"
#include "config_values.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "catch.h"
#include "nbdkit-stubs.h"
#include "redact.h"
#include "unique_fd.h"

using namespace httpcache;

namespace {

using KeyValues = std::initializer_list<std::pair<const char *, std::string>>;

constexpr uint64_t kMemory = uint64_t{8} << 30;

// The configuration that these parameters make, after a url.
Result<Config> finish(KeyValues given, uint64_t memory_bytes = kMemory) {
  ConfigDraft draft;
  REQUIRE(config_set(draft, "url", "http://host/disk").ok());
  for (const auto &[key, value] : given) {
    Result<void> set = config_set(draft, key, value.c_str());
    if (!set)
      return std::move(set).error();
  }
  return config_finish(std::move(draft), memory_bytes);
}

Config config_of(KeyValues given, uint64_t memory_bytes = kMemory) {
  Result<Config> config = finish(given, memory_bytes);
  INFO((config.ok() ? "" : config.error().what));
  REQUIRE(config.ok());
  return config.value();
}

std::string error_of(KeyValues given, uint64_t memory_bytes = kMemory) {
  Result<Config> config = finish(given, memory_bytes);
  REQUIRE_FALSE(config.ok());
  CHECK(config.error().kind == ErrorKind::Permanent);
  CHECK(config.error().err == EINVAL);
  return config.error().what;
}

bool has(const std::string &text, std::string_view part) {
  return text.find(part) != text.npos;
}

// A folder for a test, and the current one while it lives.
class TemporaryFolder {
public:
  TemporaryFolder() : before_(std::filesystem::current_path()) {
    char name[] = "/tmp/unit-config-XXXXXX";
    REQUIRE(::mkdtemp(name) != nullptr);
    path_ = name;
    std::filesystem::current_path(path_);
  }
  ~TemporaryFolder() {
    std::filesystem::current_path(before_);
    std::filesystem::remove_all(path_);
  }
  std::string path(const std::string &name) const { return path_ / name; }
  void write(const std::string &name, const std::string &text) const {
    std::ofstream(path(name)) << text;
  }

private:
  std::filesystem::path before_;
  std::filesystem::path path_;
};

} // namespace

TEST_CASE("mirrors are other URLs of the same", "[config]") {
  Config config = config_of({{"mirror", "http://b/x y?t=secret"}, {"mirror", "https://c/x"}});
  CHECK(config.mirrors == std::vector<std::string>{"http://b/x%20y?t=secret", "https://c/x"});
  CHECK(config.urls().size() == 3);
  CHECK(config.urls().front() == config.url);
  CHECK(has(error_of({{"mirror", "http://u:p@b/x"}}), "must have no user name and password"));
  CHECK(has(error_of({{"mirror", "http://b/x"}, {"mirror", "http://b/x"}}), "is given twice"));
  CHECK(has(error_of({{"mirror", "ftp://b/x"}}), "ftp"));
  CHECK(has(error_of({{"mirror", "https://b/x"}, {"protocols", "http"}}),
            "does not allow https, which is what mirror=https://b/x wants"));
}

TEST_CASE("a URL alone is enough", "[config]") {
  Config config = config_of({});
  CHECK(config.url == "http://host/disk");
  CHECK(config.offset == 0);
  CHECK_FALSE(config.size);
  CHECK(config.blocksize == 256 * 1024);
  CHECK(config.cache_blocks == 512);
  CHECK_FALSE(config.readahead);
  CHECK(config.connections == 16);
  CHECK(config.sslverify);
  CHECK_FALSE(config.cainfo);
  CHECK_FALSE(config.capath);
  CHECK(config.user.empty());
  CHECK(config.password.empty());
  CHECK(config.headers.empty());
  CHECK(config.user_agent == "nbdkit-httpcache");
  CHECK(config.timeout_s == 60);
  CHECK_FALSE(config.connect_timeout_s);
  CHECK(config.retries == 30);
  CHECK(config.retry_delay_ms == 250);
  CHECK(config.retry_max_time_s == 120);
  CHECK(config.follow_location);
  CHECK_FALSE(config.insecure_redirects);
  CHECK_FALSE(config.ignore_etag);
  CHECK(config.protocols == "http,https");
  CHECK(config.unix_socket_path.empty());
  CHECK(config.bearer_token.empty());
  CHECK(config.aws_sigv4.empty());
  CHECK(config.cookie.empty());
  CHECK_FALSE(config.netrc);
  CHECK_FALSE(config.cookiefile);
  CHECK(config.cookiejar.empty());
  CHECK(config.header_script.empty());
  CHECK(config.header_script_renew_s == 0);
  CHECK(config.cookie_script.empty());
  CHECK(config.cookie_script_renew_s == 0);
  CHECK_FALSE(config.proxy);
  CHECK(config.tls_min == TlsVersion::Any);
  CHECK(config.tls_max == TlsVersion::Any);
  CHECK(config.resolve.empty());
  CHECK(config.ip_version == IpVersion::Any);
  CHECK(config.tcp_keepalive);
  CHECK(config.tcp_nodelay);
}

TEST_CASE("the defaults in the table are those in the code", "[config]") {
  Config plain = config_of({});
  for (const Parameter &parameter : parameters()) {
    if (parameter.default_text == nullptr)
      continue;
    INFO(parameter.key);
    Config given = config_of({{parameter.key, parameter.default_text}});
    CHECK(given.offset == plain.offset);
    CHECK(given.blocksize == plain.blocksize);
    CHECK(given.cache_blocks == plain.cache_blocks);
    CHECK(given.readahead == plain.readahead);
    CHECK(given.connections == plain.connections);
    CHECK(given.http_version == plain.http_version);
    CHECK(given.sslverify == plain.sslverify);
    CHECK(given.user_agent == plain.user_agent);
    CHECK(given.timeout_s == plain.timeout_s);
    CHECK(given.retries == plain.retries);
    CHECK(given.retry_delay_ms == plain.retry_delay_ms);
    CHECK(given.retry_max_time_s == plain.retry_max_time_s);
    CHECK(given.follow_location == plain.follow_location);
    CHECK(given.insecure_redirects == plain.insecure_redirects);
    CHECK(given.ignore_etag == plain.ignore_etag);
    CHECK(given.protocols == plain.protocols);
    CHECK(given.header_script_renew_s == plain.header_script_renew_s);
    CHECK(given.cookie_script_renew_s == plain.cookie_script_renew_s);
    CHECK(given.netrc.has_value() == plain.netrc.has_value());
    CHECK(given.tls_min == plain.tls_min);
    CHECK(given.tls_max == plain.tls_max);
    CHECK(given.ip_version == plain.ip_version);
    CHECK(given.tcp_keepalive == plain.tcp_keepalive);
    CHECK(given.tcp_nodelay == plain.tcp_nodelay);
  }
}

TEST_CASE("the table is in order and all of it in the help", "[config]") {
  std::string help = config_help();
  std::string before;
  for (const Parameter &parameter : parameters()) {
    CHECK(before < parameter.key);
    before = parameter.key;
    CHECK(has("\n" + help, std::string("\n") + parameter.key + "=<"));
  }
  CHECK(has(help, "(default: 256K)"));
  CHECK_FALSE(help.ends_with('\n'));
  size_t begin = 0;
  while (begin < help.size()) {
    size_t end = std::min(help.find('\n', begin), help.size());
    INFO(help.substr(begin, end - begin));
    CHECK(end - begin <= 80); // a terminal
    begin = end + 1;
  }
}

TEST_CASE("the dump has each default once", "[config]") {
  CHECK(config_dump() == "httpcache_default_blocksize=262144\n"
                         "httpcache_default_cache_blocks=512\n"
                         "httpcache_default_connections=16\n"
                         "httpcache_default_cookie_script_renew=0\n"
                         "httpcache_default_followlocation=true\n"
                         "httpcache_default_header_script_renew=0\n"
                         "httpcache_default_http_version=1.1\n"
                         "httpcache_default_ignore_etag=false\n"
                         "httpcache_default_insecure_redirects=false\n"
                         "httpcache_default_ipresolve=any\n"
                         "httpcache_default_netrc=false\n"
                         "httpcache_default_offset=0\n"
                         "httpcache_default_protocols=http,https\n"
                         "httpcache_default_readahead=auto\n"
                         "httpcache_default_retries=30\n"
                         "httpcache_default_retry_delay=0.25\n"
                         "httpcache_default_retry_max_time=120\n"
                         "httpcache_default_ssl_version=default\n"
                         "httpcache_default_sslverify=true\n"
                         "httpcache_default_tcp_keepalive=true\n"
                         "httpcache_default_tcp_nodelay=true\n"
                         "httpcache_default_timeout=60\n"
                         "httpcache_default_user_agent=nbdkit-httpcache\n");
}

TEST_CASE("an unknown key names the closest known one", "[config]") {
  const struct {
    const char *key;
    std::string_view meant;
  } cases[] = {
      {"blocksiz", "'blocksize'"},
      {"block-size", "'blocksize'"},
      {"BLOCKSIZE", "'blocksize'"},
      {"cacheblocks", "'cache-blocks'"},
      {"cache_blocks", "'cache-blocks'"},
      {"read-ahead", "'readahead'"},
      {"conections", "'connections'"},
      {"ssl-verify", "'sslverify'"},
      {"uri", "'url'"},
      {"username", "'user'"},
      {"useragent", "'user-agent'"},
      {"unix-socket", "'unix-socket-path'"},
      {"headers", "'header'"},
      {"cache", "'cache-blocks'"},
      {"CONNECTIONS", "'connections'"},
  };
  for (const auto &c : cases) {
    std::string error = error_of({{c.key, "x"}});
    INFO(error);
    CHECK(has(error, std::string("unknown parameter '") + c.key + "'"));
    CHECK(has(error, "did you mean " + std::string(c.meant)));
  }
  for (const char *strange : {"", "x", "colour", "zzzzzzzzzzzzzzzz"}) {
    std::string error = error_of({{strange, "x"}});
    CHECK(has(error, std::string("unknown parameter '") + strange + "'; `nbdkit httpcache --help`"));
    CHECK_FALSE(has(error, "did you mean"));
  }
  CHECK(has(error_of({{"user", "me:SECRET"}}), "user=***: "));
  CHECK_FALSE(has(error_of({{"user", "me:SECRET"}}), "SECRET"));
}

TEST_CASE("url: missing, twice, wrong", "[config]") {
  Result<Config> none = config_finish(ConfigDraft(), kMemory);
  REQUIRE_FALSE(none.ok());
  CHECK(has(none.error().what, "url is missing"));
  CHECK(has(none.error().what, "url=https://"));

  std::string twice = error_of({{"url", "http://u:SECRET@other/d?SECRET"}});
  CHECK(has(twice, "http://host/disk"));
  CHECK(has(twice, "http://other/d?..."));
  CHECK_FALSE(has(twice, "SECRET"));

  ConfigDraft draft;
  CHECK(has(config_set(draft, "url", "ftp://host/x").error().what,
            "only http:// and https://"));
  CHECK(has(config_set(draft, "url", "").error().what, "url="));
}

TEST_CASE("the URL is encoded, its login moved, its query hidden", "[config]") {
  ConfigDraft draft;
  REQUIRE(config_set(draft, "url",
                     "https://ann:url%20pass-1@host/a b?sig=config-query-1")
              .ok());
  Config config = config_finish(std::move(draft), kMemory).value();
  CHECK(config.url == "https://host/a%20b?sig=config-query-1");
  CHECK(config.user == "ann");
  CHECK(config.password == "url pass-1");
  CHECK(redact_text("sig=config-query-1") == "***");
  CHECK(redact_text("the url pass-1 !") == "the *** !");
}

TEST_CASE("user and password go before those of the URL", "[config]") {
  auto with = [](KeyValues given) {
    ConfigDraft draft;
    REQUIRE(config_set(draft, "url", "https://ann:first-pw@host/").ok());
    for (const auto &[key, value] : given)
      REQUIRE(config_set(draft, key, value.c_str()).ok());
    return config_finish(std::move(draft), kMemory).value();
  };
  Config config = with({{"user", "bob"}, {"password", "second-pw"}});
  CHECK(config.user == "bob");
  CHECK(config.password == "second-pw");
  config = with({{"password", "third-pw"}});
  CHECK(config.user == "ann");
  CHECK(config.password == "third-pw");
}

TEST_CASE("sizes are as nbdkit parses them", "[config]") {
  CHECK(config_of({{"offset", "0"}}).offset == 0);
  CHECK(config_of({{"offset", "1"}}).offset == 1);
  CHECK(config_of({{"offset", "1536"}}).offset == 1536);
  CHECK(config_of({{"offset", "4K"}}).offset == 4096);
  CHECK(config_of({{"offset", "3s"}}).offset == 1536);
  CHECK(config_of({{"offset", "5T"}}).offset == uint64_t{5} << 40);
  CHECK(config_of({{"offset", "9223372036854775807"}}).offset == INT64_MAX);
  CHECK(config_of({{"size", "1"}}).size == 1u);
  CHECK(config_of({{"size", "10g"}}).size == uint64_t{10} << 30);
}

TEST_CASE("what is no size is refused with one or two words", "[config]") {
  for (const char *key : {"offset", "size", "blocksize", "readahead"}) {
    INFO(key);
    nbdkit_stubs::take_errors();
    CHECK(has(error_of({{key, "-1"}}),
              std::string(key) + "=-1: a size cannot be negative"));
    CHECK(has(error_of({{key, ""}}), std::string(key) + "=: not a size"));
    CHECK(has(error_of({{key, "big"}}), "=big: not a size"));
    CHECK(has(error_of({{key, "+5"}}), "not a size"));
    CHECK(has(error_of({{key, " 5"}}), "not a size"));
    // All that by one message; what nbdkit has to judge, by a second one.
    CHECK(nbdkit_stubs::take_errors().empty());
    for (const char *value :
         {"64KB", "64 K", "1.5M", "0x1000", "64Q", "9223372036854775808", "8E",
          "99999999999999999999999", "64K\n"}) {
      INFO(value);
      std::string error = error_of({{key, value}});
      CHECK(has(error, "such as 65536 or 64K"));
      CHECK_FALSE(has(error, "\n"));
    }
    CHECK(nbdkit_stubs::take_errors().size() == 9);
  }
}

TEST_CASE("size 0 and sums past the end of numbers", "[config]") {
  CHECK(has(error_of({{"size", "0"}}), "size=0"));
  CHECK(has(error_of({{"offset", "9223372036854775807"}, {"size", "1"}}),
            "together reach past 2^63 - 1"));
  CHECK(config_of({{"offset", "9223372036854775806"}, {"size", "1"}}).size ==
        1u);
}

TEST_CASE("blocksize is a power of two within bounds", "[config]") {
  for (uint32_t size = kMinBlockSize; size <= kMaxBlockSize; size *= 2)
    CHECK(config_of({{"blocksize", std::to_string(size)}}).blocksize == size);
  CHECK(config_of({{"blocksize", "1M"}}).blocksize == 1 << 20);
  CHECK(error_of({{"blocksize", "300K"}}) ==
        "blocksize=300K: must be a power of two from 4K to 32M; the nearest "
        "are 256K and 512K");
  CHECK(has(error_of({{"blocksize", "4097"}}), "nearest are 4K and 8K"));
  CHECK(has(error_of({{"blocksize", "33554431"}}), "nearest are 16M and 32M"));
  for (const char *low : {"0", "1", "512", "2K", "4095"})
    CHECK(has(error_of({{"blocksize", low}}),
              "from 4K to 32M; the nearest is 4K"));
  for (const char *high : {"64M", "33554433", "1T", "4294971392"})
    CHECK(has(error_of({{"blocksize", high}}),
              "from 4K to 32M; the nearest is 32M"));
}

TEST_CASE("cache-blocks has a least, and memory its bound", "[config]") {
  CHECK(config_of({{"cache-blocks", "2"}, {"blocksize", "64k"}}).cache_blocks ==
        2);
  CHECK(config_of({{"cache-blocks", "0x10"}}).cache_blocks == 16);
  for (const char *few : {"0", "1", "-1", "", "many", "1.5", "512K", "+5",
                          "18446744073709551616"}) {
    std::string error = error_of({{"cache-blocks", few}});
    CHECK(has(error, std::string("cache-blocks=") + few + ": "));
    CHECK(has(error, "at least 2"));
  }
  // The bytes that it came to, and what there would be room for.
  CHECK(error_of({{"cache-blocks", "40000"}}) ==
        "cache-blocks=40000 with blocksize=256K comes to 10485760000 bytes, "
        "but this machine has 8589934592 bytes of memory: that is room for "
        "cache-blocks=32768 at most");
  CHECK(config_of({{"cache-blocks", "32768"}}).cache_blocks == 32768);
  CHECK(has(error_of({{"cache-blocks", "18446744073709551615"}}),
            "more than 2^64 bytes"));
  CHECK(has(
      error_of({{"cache-blocks", "9223372036854775808"}, {"blocksize", "4K"}}),
      "more than 2^64 bytes"));
  CHECK(physical_memory_bytes() > 1 << 20);
}

TEST_CASE("by default the cache is as large whatever the blocksize",
          "[config]") {
  CHECK(config_of({{"blocksize", "4K"}}).cache_blocks == 32768);
  CHECK(config_of({{"blocksize", "64K"}}).cache_blocks == 2048);
  CHECK(config_of({{"blocksize", "1M"}}).cache_blocks == 128);
  CHECK(config_of({{"blocksize", "32M"}}).cache_blocks == 8);
  CHECK(config_of({{"cache-blocks", "3"}, {"blocksize", "4K"}}).cache_blocks ==
        3);
}

TEST_CASE("readahead is a size, 0 or auto", "[config]") {
  CHECK(config_of({{"readahead", "0"}}).readahead == 0u);
  CHECK(config_of({{"readahead", "16M"}}).readahead == 16u << 20);
  CHECK_FALSE(config_of({{"readahead", "auto"}}).readahead);
  CHECK_FALSE(
      config_of({{"readahead", "16M"}, {"readahead", "auto"}}).readahead);
  for (const char *wrong : {"Auto", "yes", "off", "-1", ""})
    CHECK(has(error_of({{"readahead", wrong}}), "0 for none, or auto"));
}

TEST_CASE("HTTP's version is one of a few names", "[config]") {
  CHECK(config_of({{"http-version", "none"}}).http_version == HttpVersion::V2);
  CHECK(config_of({{"http-version", "1.1"}}).http_version == HttpVersion::V1_1);
  CHECK(config_of({{"http-version", "2.0"}}).http_version == HttpVersion::V2);
  CHECK(config_of({{"http-version", "2TLS"}}).http_version == HttpVersion::V2);
  CHECK(config_of({{"http-version", "2-prior-knowledge"}}).http_version ==
        HttpVersion::V2PriorKnowledge);
  for (const char *wrong : {"", "1", "2", "2tls", "3Only", "NONE"})
    CHECK(has(error_of({{"http-version", wrong}}),
              "must be none, 1.0, 1.1, 2.0, 2TLS, 2-prior-knowledge, 3 or 3only"));
  for (HttpVersion version :
       {HttpVersion::V1_0, HttpVersion::V1_1, HttpVersion::V2, HttpVersion::V2PriorKnowledge,
        HttpVersion::V3, HttpVersion::V3Only})
    CHECK(config_of({{"http-version", http_version_name(version)}}).http_version == version);
}

TEST_CASE("connections are 1 to 256", "[config]") {
  CHECK(config_of({{"connections", "1"}}).connections == 1);
  CHECK(config_of({{"connections", "256"}}).connections == 256);
  for (const char *wrong :
       {"0", "257", "-1", "", "x", "1x", "1 ", "4294967297"})
    CHECK(has(error_of({{"connections", wrong}}),
              "must be a number of connections from 1 to 256"));
}

TEST_CASE("how long to try again", "[config]") {
  CHECK(config_of({{"retries", "0"}}).retries == 0);
  CHECK(config_of({{"retries", "1000"}}).retries == 1000);
  CHECK(config_of({{"retry-max-time", "0"}}).retry_max_time_s == 0);
  CHECK(config_of({{"connect-timeout", "0"}}).connect_timeout_s == 0u);
  CHECK(config_of({{"connect-timeout", "86400"}}).connect_timeout_s == 86400u);
  const struct {
    const char *value;
    uint32_t ms;
  } delays[] = {{"0", 0}, {"2", 2000}, {"0.25", 250}, {"0.5", 500}, {"1.001", 1001}, {"3600", 3'600'000}};
  for (const auto &delay : delays)
    CHECK(config_of({{"retry-delay", delay.value}}).retry_delay_ms == delay.ms);
  for (const char *wrong : {"", ".", ".5", "1.", "-1", "1s", "1.0001", "3600.001", "99999999999", "0x1"})
    CHECK(has(error_of({{"retry-delay", wrong}}), "must be seconds, from 0 to 3600, such as 2 or 0.25"));
  for (const char *key : {"retries", "retry-max-time", "connect-timeout"})
    for (const char *wrong : {"", "-1", "x", "1.5", "86401"})
      CHECK(has(error_of({{key, wrong}}), std::string(key) + "=" + wrong + ": must be a number of"));
}

TEST_CASE("protocols and redirects", "[config]") {
  CHECK(config_of({{"protocols", "http"}}).protocols == "http");
  CHECK(config_of({{"protocols", "HTTPS,http"}}).protocols == "http,https");
  CHECK(has(error_of({{"protocols", "https"}}), "protocols=https: does not allow http, which is what url=http://host/disk"));
  for (const char *wrong : {"", "ftp", "http,ftp", "http,", "http,http", "all", "http https"})
    CHECK(has(error_of({{"protocols", wrong}}), "must be http, https or http,https"));
  CHECK_FALSE(config_of({{"followlocation", "no"}}).follow_location);
  CHECK(config_of({{"ignore-etag", "yes"}}).ignore_etag);
  CHECK(config_of({{"insecure-redirects", "on"}}).insecure_redirects);
  for (const char *key : {"followlocation", "ignore-etag", "insecure-redirects", "sslverify"})
    CHECK(has(error_of({{key, "perhaps"}}), std::string(key) + "=perhaps: must be true or false"));
}

TEST_CASE("timeout is seconds", "[config]") {
  CHECK(config_of({{"timeout", "0"}}).timeout_s == 0);
  CHECK(config_of({{"timeout", "86400"}}).timeout_s == 86400);
  for (const char *wrong : {"86401", "-1", "", "1m", "0.5", "4294967296"})
    CHECK(has(error_of({{"timeout", wrong}}),
              "must be a number of seconds from 0 to 86400; 0 waits for "
              "ever"));
}

TEST_CASE("sslverify is a boolean", "[config]") {
  for (const char *yes : {"true", "1", "on", "yes"})
    CHECK(config_of({{"sslverify", yes}}).sslverify);
  for (const char *no : {"false", "0", "off", "no"})
    CHECK_FALSE(config_of({{"sslverify", no}}).sslverify);
  CHECK(error_of({{"sslverify", "maybe"}}) ==
        "sslverify=maybe: must be true or false");
}

TEST_CASE("the last of a parameter counts, of headers all", "[config]") {
  CHECK(config_of({{"connections", "4"}, {"connections", "8"}}).connections ==
        8);
  CHECK(config_of({{"header", "X-A: 1"}, {"header", "X-B: 2"}}).headers ==
        std::vector<std::string>{"X-A: 1", "X-B: 2"});
}

TEST_CASE("cainfo and capath are absolute, there, and of their kind",
          "[config]") {
  TemporaryFolder folder;
  folder.write("ca.pem", "x");
  CHECK(config_of({{"cainfo", "ca.pem"}}).cainfo == folder.path("ca.pem"));
  CHECK(config_of({{"cainfo", ""}}).cainfo == "");
  CHECK(config_of({{"capath", "."}}).capath == folder.path("."));
  CHECK(config_of({{"capath", ""}}).capath == "");
  CHECK(error_of({{"cainfo", "none.pem"}}) ==
        "cainfo=none.pem: No such file or directory");
  CHECK(error_of({{"capath", "none"}}) ==
        "capath=none: No such file or directory");
  CHECK(has(error_of({{"cainfo", "."}}), "given as capath="));
  CHECK(has(error_of({{"capath", "ca.pem"}}), "given as cainfo="));
}

TEST_CASE("passwords come from where nbdkit reads them", "[config]") {
  TemporaryFolder folder;
  folder.write("pw", "config-file-pw\n");
  Config config = config_of({{"user", "ann"}, {"password", "+pw"}});
  CHECK(config.password == "config-file-pw");
  CHECK(redact_text("config-file-pw") == "***");

  config = config_of({{"user", "ann"}, {"password", "config-plain-pw"}});
  CHECK(config.password == "config-plain-pw");
  CHECK(redact_text("config-plain-pw") == "***");
  CHECK(redact_text("YW5uOmNvbmZpZy1wbGFpbi1wdw==") == "***");

  folder.write("dos", "config-dos-pw\r\n");
  for (std::string error : {error_of({{"user", "ann"}, {"password", "+dos"}}),
                            error_of({{"proxy", "p:1"}, {"proxy-user", "ann"}, {"proxy-password", "+dos"}})}) {
    CHECK(has(error, "password=***: may not hold control characters, such as the line ends"));
    CHECK_FALSE(has(error, "dos-pw"));
  }
  CHECK(has(error_of({{"user", "ann\n"}, {"password", "config-pw-10"}}), "user=***: may not hold line ends"));

  CHECK(config_of({{"user", "ann"}, {"password", ""}}).password.empty());
  CHECK(has(error_of({{"password", "+nothing"}}), "password=+nothing: could"));
  CHECK(has(error_of({{"password", "x"}}), "without user="));
  CHECK(config_of({{"user", ""}, {"password", "config-pw-6"}}).password == "config-pw-6");
  CHECK(has(error_of({{"user", ""}, {"password", "config-pw-6"}, {"bearer-token", "t"}}), "given with user="));
  std::string error = error_of({{"user", "ann:config-user-pw"}});
  CHECK(has(error, "password="));
  CHECK_FALSE(has(error, "config-user-pw"));
}

TEST_CASE("headers are checked, and never shown", "[config]") {
  for (const char *good : {"X-A: b", "X-A:b", "X-A:", "X-A;", "X-A: b: c; d",
                           "X-A:\tb", "Authorization: Bearer x", "Accept: */*"})
    CHECK(config_of({{"header", good}}).headers ==
          std::vector<std::string>{good});
  for (const char *wrong :
       {"", "SECRET", "SECRET SECRET", ":SECRET", ": SECRET", "X A: SECRET", "SECRET SECRET: x", "SECRET; x",
        " X-A: SECRET", "X-A : SECRET", "X-A; SECRET", "X-A: SECRET\r\nX-B: c",
        "X-A: SECRET\n", "X-\xc3\xbc: SECRET", "Range: SECRET",
        "if-range: SECRET", "If-Match: SECRET"}) {
    std::string error = error_of({{"header", wrong}});
    INFO(error);
    CHECK(has(error, "header="));
    CHECK(has(error, "for example header="));
    CHECK_FALSE(has(error, "SECRET"));
  }
  CHECK_FALSE(is_secret_header("X-Config-Test"));
  config_of({{"header", "X-Config-Test: x"}});
  CHECK(is_secret_header("X-Config-Test"));
  config_of({{"header", "Authorization: Bearer config-bearer"}});
  CHECK(redact_text("got config-bearer") == "got ***");
}

TEST_CASE("headers come from a file, too", "[config]") {
  TemporaryFolder folder;
  folder.write("headers", "# of the store\n\nX-A: one\r\nAuthorization: Bearer config-file-header\n");
  CHECK(config_of({{"header", "X-0: b"}, {"header", "+headers"}}).headers ==
        std::vector<std::string>{"X-0: b", "X-A: one", "Authorization: Bearer config-file-header"});
  CHECK(redact_text("got config-file-header") == "got ***");
  folder.write("bad", "X-A: one\nSECRET\n");
  std::string error = error_of({{"header", "+bad"}});
  CHECK(has(error, "/bad line 2: header=***: must be"));
  CHECK_FALSE(has(error, "SECRET"));
  CHECK(error_of({{"header", "+none"}}) == "header=none: No such file or directory");
}

TEST_CASE("a bearer token and cookies are secrets of one line", "[config]") {
  TemporaryFolder folder;
  folder.write("token", "config-token-1\n");
  folder.write("cookie", "id=config-cookie-1; b=c\n");
  Config config = config_of({{"bearer-token", "+token"}, {"cookie", "+cookie"}});
  CHECK(config.bearer_token == "config-token-1");
  CHECK(config.cookie == "id=config-cookie-1; b=c");
  CHECK(redact_text("config-token-1, config-cookie-1") == "***, ***");
  for (const char *key : {"bearer-token", "cookie"}) {
    CHECK(has(error_of({{key, ""}}), std::string(key) + "=***: is empty"));
    CHECK(has(error_of({{key, "SECRET\r\nX: y"}}), "may not hold line ends"));
    CHECK(has(error_of({{key, "+nothing"}}), std::string(key) + "=+nothing: could not be read"));
    CHECK_FALSE(has(error_of({{key, "SECRET\n"}}), "SECRET"));
  }
}

TEST_CASE("scripts are commands, and run where nbdkit was started", "[config]") {
  TemporaryFolder folder;
  Config config = config_of({{"header-script", "./token --new"},
                             {"header-script-renew", "50"},
                             {"cookie-script", " echo a=b"},
                             {"cookie-script-renew", "31536000"},
                             {"header", "X-A: b"},
                             {"cookie", "config-script=cookie"}});
  CHECK(config.header_script == "./token --new");
  CHECK(config.header_script_renew_s == 50);
  CHECK(config.cookie_script == " echo a=b");
  CHECK(config.cookie_script_renew_s == 31536000);
  CHECK(config.headers == std::vector<std::string>{"X-A: b"});
  CHECK(config.cookie == "config-script=cookie");
  CHECK(config.folder == std::filesystem::current_path().string());
  CHECK(config.url_as_given == "http://host/disk");

  for (std::string key : {"header-script", "cookie-script"}) {
    CHECK(error_of({{key.c_str(), " "}}) == key + "=: the command is missing");
    std::string renew = key + "-renew";
    CHECK(error_of({{renew.c_str(), "5"}}) == renew + "= is given without " + key + "=");
    for (const char *wrong : {"", "-1", "soon", "1.5", "31536001"})
      CHECK(error_of({{key.c_str(), "true"}, {renew.c_str(), wrong}}) ==
            renew + "=" + wrong + ": must be a number of seconds from 0 to 31536000; 0 runs the "
                                  "script again only when the server refuses");
  }
}

TEST_CASE("files of cookies are there, or can be made", "[config]") {
  TemporaryFolder folder;
  folder.write("jar", "");
  CHECK(config_of({{"cookiefile", ""}}).cookiefile == "");
  CHECK(config_of({{"cookiefile", "jar"}}).cookiefile == folder.path("jar"));
  CHECK(config_of({{"cookiejar", "new"}}).cookiejar == folder.path("new"));
  CHECK(error_of({{"cookiefile", "none"}}) == "cookiefile=none: No such file or directory");
  CHECK(has(error_of({{"cookiejar", ""}}), "is missing"));
  CHECK(has(error_of({{"cookiejar", "/dev/null"}}), "is no ordinary file"));
  CHECK(has(error_of({{"cookiejar", "."}}), "is no ordinary file"));
  CHECK(has(error_of({{"cookiejar", "no/such"}}), "no file can be made in"));
}

TEST_CASE("netrc is a file, or the one at home", "[config]") {
  TemporaryFolder folder;
  folder.write(".netrc", "machine host login ann password config-netrc-pw\n");
  folder.write("bad", "machine host login ann password SECRET SECRET\n");
  const char *before = getenv("HOME");
  std::string home = before == nullptr ? "" : before;
  setenv("HOME", folder.path("").c_str(), 1);
  Config config = config_of({{"netrc", "true"}});
  REQUIRE(config.netrc);
  CHECK(config.netrc->entries().size() == 1);
  CHECK(redact_text("config-netrc-pw") == "***");
  CHECK(config_of({{"netrc", ".netrc"}}).netrc->entries().size() == 1);
  CHECK_FALSE(config_of({{"netrc", "true"}, {"netrc", "false"}}).netrc);
  setenv("HOME", "/nonexistent", 1);
  CHECK(has(error_of({{"netrc", "yes"}}), "netrc=/nonexistent/.netrc: No such file"));
  setenv("HOME", home.c_str(), 1);
  std::string error = error_of({{"netrc", "bad"}});
  CHECK(has(error, "/bad: line 1: "));
  CHECK_FALSE(has(error, "SECRET"));
}

TEST_CASE("who logs in is told once, and wholly", "[config]") {
  TemporaryFolder folder;
  folder.write("file", "machine host login ann password config-pw-9\n");
  CHECK(has(error_of({{"aws-sigv4", "aws:amz:eu-west-1:s3"}}), "without user= and password="));
  CHECK(has(error_of({{"aws-sigv4", "aws:amz"}, {"user", "KEY"}}), "without user= and password="));
  CHECK(config_of({{"aws-sigv4", "aws:amz:eu-west-1:s3"}, {"user", "KEY"}, {"password", "config-pw-8"}}).aws_sigv4 ==
        "aws:amz:eu-west-1:s3");
  CHECK(has(error_of({{"aws-sigv4", "aws:amz:eu-west-1:s3"}, {"user", "KEY\r\nX-A"}, {"password", "config-pw-8"}}),
            "user=***: may not hold line ends"));
  for (const char *wrong : {"", ":", "aws:", ":amz", "a::b", "a:b:c:d:e", "aws amz", "aws:amz:eu/1:s3"})
    CHECK(has(error_of({{"aws-sigv4", wrong}}), "such as aws:amz:us-east-1:s3"));
  CHECK(has(error_of({{"bearer-token", "config-tok"}, {"user", "ann"}}), "bearer-token= is given with user="));
  CHECK(has(error_of({{"netrc", "file"}, {"user", "ann"}}), "netrc= is given with user="));
  CHECK(has(error_of({{"netrc", "file"}, {"bearer-token", "config-tok"}}), "netrc= is given with bearer-token="));
  CHECK(has(error_of({{"sslkey", "file"}}), "sslkey= is given without sslcert="));
  CHECK(has(error_of({{"sslkey-password", "config-pw-7"}}), "sslkey-password= is given without sslcert="));
  Config config = config_of({{"sslcert", "file"}, {"sslkey", "file"}, {"sslkey-password", "config-pw-7"}});
  CHECK(config.sslcert == folder.path("file"));
  CHECK(config.sslkey == folder.path("file"));
  CHECK(redact_text("config-pw-7") == "***");
  for (const char *key : {"sslcert", "sslkey"}) {
    CHECK(has(error_of({{key, "none"}}), "No such file"));
    CHECK(has(error_of({{key, "."}}), "is a folder"));
    CHECK(has(error_of({{key, ""}}), "is missing"));
  }
}

TEST_CASE("a proxy is a URL without a path, and its login", "[config]") {
  for (const char *name : {"http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"})
    unsetenv(name);
  CHECK(config_of({{"proxy", "p.example:3128"}}).proxy == "http://p.example:3128");
  CHECK(config_of({{"proxy", "HTTPS://p.example"}}).proxy == "https://p.example");
  CHECK(config_of({{"proxy", "socks5h://[::1]:9/"}}).proxy == "socks5h://[::1]:9");
  CHECK(config_of({{"proxy", "socks://p:9"}}).proxy == "socks://p:9");
  CHECK(config_of({{"proxy", ""}}).proxy == "");
  Config config = config_of({{"proxy", "http://ann:config%20proxy-1@p:1"}});
  CHECK(config.proxy == "http://p:1");
  CHECK(config.proxy_user == "ann");
  CHECK(config.proxy_password == "config proxy-1");
  CHECK(redact_text("config proxy-1") == "***");
  config = config_of({{"proxy", "http://ann:config-proxy-2@p:1"}, {"proxy-user", "bob"}, {"proxy-password", "config-proxy-3"}});
  CHECK(config.proxy_user == "bob");
  CHECK(config.proxy_password == "config-proxy-3");
  for (const char *wrong : {"http://", "ftp://p:1", "http://p:1/path", "http://p:1/?q", "http://p:99999", "a b:1", "p:x"}) {
    INFO(wrong);
    CHECK(has(error_of({{"proxy", wrong}}), "for example proxy=http://proxy.example.com:3128"));
  }
  CHECK_FALSE(has(error_of({{"proxy", "ftp://ann:SECRET@p:1"}}), "SECRET"));
  CHECK_FALSE(has(error_of({{"proxy", "http://ann:SEC/RET@p:1"}}), "RET"));
  CHECK_FALSE(has(error_of({{"proxy", "http://ann:SEC#RET@p:1"}}), "SEC"));
  CHECK(has(error_of({{"proxy-user", "ann"}}), "without proxy="));
  CHECK(has(error_of({{"proxy", ""}, {"proxy-user", "ann"}}), "without proxy="));
  CHECK(has(error_of({{"proxy", "p:1"}, {"proxy-password", "config-proxy-4"}}), "without proxy-user="));
  CHECK(has(error_of({{"proxy", "p:1"}, {"proxy-user", "ann:SECRET"}}), "proxy-user=***: "));
  CHECK(has(error_of({{"proxy", "p:1"}, {"unix-socket-path", "/s"}}), "two ways"));
  setenv("all_proxy", "ann:config-env-proxy@p:1", 1);
  CHECK(config_of({{"proxy-user", "bob"}}).proxy_user == "bob");
  CHECK(redact_text("config-env-proxy") == "***");
  CHECK(environment_proxy("http") == "ann:config-env-proxy@p:1");
  setenv("http_proxy", "q:1", 1);
  CHECK(environment_proxy("http") == "q:1");
  CHECK(environment_proxy("https") == "ann:config-env-proxy@p:1");
  unsetenv("http_proxy");
  unsetenv("all_proxy");
  CHECK(environment_proxy("https").empty());
}

TEST_CASE("the way to the server", "[config]") {
  CHECK(config_of({{"resolve", "a:80:1.2.3.4"}, {"resolve", "*:443:::1"}}).resolve ==
        std::vector<std::string>{"a:80:1.2.3.4", "*:443:::1"});
  CHECK(config_of({{"resolve", "a:80:1.2.3.4,[::2],::3"}}).resolve.size() == 1);
  for (const char *wrong : {"", "a", "a:80", ":80:1.2.3.4", "a:0:1.2.3.4", "a:65536:1.2.3.4", "a:x:1.2.3.4", "a:80:",
                            "a:80:b", "a:80:1.2.3.4,", "-a:80", "a:80:1.2.3.4,x"}) {
    INFO(wrong);
    CHECK(has(error_of({{"resolve", wrong}}), "must be HOST:PORT:ADDRESS"));
  }
  CHECK(config_of({{"ipresolve", "v4"}}).ip_version == IpVersion::V4);
  CHECK(config_of({{"ipresolve", "v6"}}).ip_version == IpVersion::V6);
  CHECK(config_of({{"ipresolve", "4"}}).ip_version == IpVersion::V4);
  CHECK(config_of({{"ipresolve", "6"}}).ip_version == IpVersion::V6);
  CHECK(config_of({{"ipresolve", "whatever"}}).ip_version == IpVersion::Any);
  CHECK(has(error_of({{"ipresolve", "ipv4"}}), "must be any, v4 or v6"));
  CHECK_FALSE(config_of({{"tcp-keepalive", "false"}}).tcp_keepalive);
  CHECK_FALSE(config_of({{"tcp-nodelay", "off"}}).tcp_nodelay);
}

TEST_CASE("versions and ciphers of TLS", "[config]") {
  CHECK(config_of({{"ssl-version", "tlsv1.2"}}).tls_min == TlsVersion::V1_2);
  CHECK(config_of({{"ssl-version", "tlsv1"}}).tls_min == TlsVersion::V1_0);
  CHECK(config_of({{"ssl-version", "tlsv1.2"}}).tls_max == TlsVersion::Any);
  CHECK(config_of({{"ssl-version", "max-tlsv1.2"}}).tls_max == TlsVersion::V1_2);
  CHECK(config_of({{"ssl-version", "max-tlsv1.2"}}).tls_min == TlsVersion::Any);
  for (const char *wrong : {"", "sslv3", "1.2", "TLSv1.2", "tlsv1.4"})
    CHECK(has(error_of({{"ssl-version", wrong}}), "must be default, or tlsv1.0 to tlsv1.3"));
  CHECK(config_of({{"ssl-cipher-list", "HIGH:!aNULL"}}).ssl_cipher_list == "HIGH:!aNULL");
  CHECK(config_of({{"tls13-ciphers", "TLS_AES_128_GCM_SHA256"}}).tls13_ciphers == "TLS_AES_128_GCM_SHA256");
  for (const char *key : {"ssl-cipher-list", "tls13-ciphers"})
    for (const char *wrong : {"", "A B", "A;B"})
      CHECK(has(error_of({{key, wrong}}), "names of ciphers"));
}

TEST_CASE("user-agent is any one line", "[config]") {
  CHECK(config_of({{"user-agent", "my agent/1"}}).user_agent == "my agent/1");
  CHECK(config_of({{"user-agent", ""}}).user_agent.empty());
  CHECK(has(error_of({{"user-agent", "a\r\nX: y"}}),
            "user-agent=a\\r\\nX: y: may not hold line ends"));
}

TEST_CASE("unix-socket-path is absolute and nothing but a socket", "[config]") {
  TemporaryFolder folder;
  CHECK(config_of({{"unix-socket-path", "later.sock"}}).unix_socket_path ==
        folder.path("later.sock"));
  folder.write("file", "x");
  CHECK(has(error_of({{"unix-socket-path", "file"}}), "is no Unix socket"));
  CHECK(has(error_of({{"unix-socket-path", ""}}), "a path is missing"));
  CHECK(has(error_of({{"unix-socket-path", "/" + std::string(107, 'x')}}),
            "has 108 bytes, a Unix socket's at most 107"));

  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  folder.path("now.sock").copy(address.sun_path, sizeof address.sun_path - 1);
  REQUIRE(::bind(fd.get(), reinterpret_cast<sockaddr *>(&address),
                 sizeof address) == 0);
  CHECK(config_of({{"unix-socket-path", "now.sock"}}).unix_socket_path ==
        folder.path("now.sock"));
}

TEST_CASE("sizes are told as people write them", "[config]") {
  CHECK(human_size(0) == "0");
  CHECK(human_size(1023) == "1023");
  CHECK(human_size(1024) == "1K");
  CHECK(human_size(1025) == "1025");
  CHECK(human_size(262144) == "256K");
  CHECK(human_size(uint64_t{5} << 40) == "5T");
  CHECK(human_size(uint64_t{1} << 63) == "8E");
}
