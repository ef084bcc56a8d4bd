// SPDX-License-Identifier: BSD-3-Clause
// Copyright the httpcache authors

#include "http_headers.h"

#include <algorithm>
#include <array>
#include <limits>

#include "ascii.h"
#include "redact.h"

namespace httpcache {

namespace {

constexpr uint64_t kMaxOffset = std::numeric_limits<int64_t>::max();
constexpr size_t kMaxQuoted = 60; // bytes of a bad value told in a message

// Takes pieces off the front of a text; every function says whether it could.
class Scanner {
public:
  explicit Scanner(std::string_view text) : rest_(text) {}

  bool at_end() const { return rest_.empty(); }

  void blanks() {
    while (!rest_.empty() && is_blank(rest_.front()))
      rest_.remove_prefix(1);
  }

  bool literal(std::string_view text) {
    if (!rest_.starts_with(text))
      return false;
    rest_.remove_prefix(text.size());
    return true;
  }

  // Any number of digits, at least one; at most 2^63 - 1.
  bool number(uint64_t &out) {
    uint64_t value = 0;
    size_t i = 0;
    for (; i < rest_.size() && is_digit(rest_[i]); i++) {
      auto digit = static_cast<uint64_t>(rest_[i] - '0');
      if (value > (kMaxOffset - digit) / 10)
        return false;
      value = value * 10 + digit;
    }
    if (i == 0)
      return false;
    rest_.remove_prefix(i);
    out = value;
    return true;
  }

  // Exactly COUNT digits.
  bool digits(size_t count, int &out) {
    if (rest_.size() < count ||
        !std::all_of(rest_.begin(),
                     rest_.begin() + static_cast<ptrdiff_t>(count), is_digit))
      return false;
    out = 0;
    for (char c : rest_.substr(0, count))
      out = out * 10 + (c - '0');
    rest_.remove_prefix(count);
    return true;
  }

  // One of NAMES, in any case; its index.
  template <size_t N>
  bool one_of(const std::array<std::string_view, N> &names, int &index) {
    for (size_t i = 0; i < N; i++)
      if (equal_nocase(rest_.substr(0, names[i].size()), names[i])) {
        rest_.remove_prefix(names[i].size());
        index = static_cast<int>(i);
        return true;
      }
    return false;
  }

private:
  std::string_view rest_;
};

// Days from 1970-01-01 to a date of the Gregorian calendar.  timegm(3) would
// do, but is no standard, and "normalises" 31 February.
int64_t days_from_civil(int year, int month, int day) {
  int64_t y =
      month <= 2 ? year - 1 : year; // years begin in March: leap day last
  int64_t era = (y >= 0 ? y : y - 399) / 400;
  int64_t year_of_era = y - era * 400;
  int64_t day_of_year =
      (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
  int64_t day_of_era =
      year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
  return era * 146097 + day_of_era - 719468;
}

bool is_leap(int year) {
  return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

struct Date {
  int year = 0, month = 0, day = 0; // month from 0
  int hour = 0, minute = 0, second = 0;

  std::optional<int64_t> unix_s() const {
    constexpr std::array<int, 12> kDays = {31, 28, 31, 30, 31, 30,
                                           31, 31, 30, 31, 30, 31};
    auto m = static_cast<size_t>(month);
    int days = kDays[m] + (month == 1 && is_leap(year) ? 1 : 0);
    if (day < 1 || day > days || hour > 23 || minute > 59 ||
        second > 60) // 60: a leap second
      return std::nullopt;
    return days_from_civil(year, month + 1, day) * 86400 + hour * 3600 +
           minute * 60 + second;
  }
};

constexpr std::array<std::string_view, 12> kMonths = {
    "Jan", "Feb", "Mar", "Apr", "May", "Jun",
    "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
constexpr std::array<std::string_view, 7> kDays = {"Mon", "Tue", "Wed", "Thu",
                                                   "Fri", "Sat", "Sun"};
constexpr std::array<std::string_view, 7> kLongDays = {
    "Monday", "Tuesday",  "Wednesday", "Thursday",
    "Friday", "Saturday", "Sunday"};

bool scan_time(Scanner &scan, Date &date) {
  return scan.digits(2, date.hour) && scan.literal(":") &&
         scan.digits(2, date.minute) && scan.literal(":") &&
         scan.digits(2, date.second);
}

// "Sun, 06 Nov 1994 08:49:37 GMT"
bool scan_imf(Scanner scan, Date &date) {
  int weekday = 0; // never checked: it says nothing that the date does not
  return scan.one_of(kDays, weekday) && scan.literal(", ") &&
         scan.digits(2, date.day) && scan.literal(" ") &&
         scan.one_of(kMonths, date.month) && scan.literal(" ") &&
         scan.digits(4, date.year) && scan.literal(" ") &&
         scan_time(scan, date) && scan.literal(" GMT") && scan.at_end();
}

// "Sunday, 06-Nov-94 08:49:37 GMT"
bool scan_rfc850(Scanner scan, Date &date) {
  int weekday = 0;
  return scan.one_of(kLongDays, weekday) && scan.literal(", ") &&
         scan.digits(2, date.day) && scan.literal("-") &&
         scan.one_of(kMonths, date.month) && scan.literal("-") &&
         scan.digits(2, date.year) && scan.literal(" ") &&
         scan_time(scan, date) && scan.literal(" GMT") && scan.at_end();
}

// "Sun Nov  6 08:49:37 1994"
bool scan_asctime(Scanner scan, Date &date) {
  int weekday = 0;
  return scan.one_of(kDays, weekday) && scan.literal(" ") &&
         scan.one_of(kMonths, date.month) && scan.literal(" ") &&
         (scan.literal(" ") ? scan.digits(1, date.day)
                            : scan.digits(2, date.day)) &&
         scan.literal(" ") && scan_time(scan, date) && scan.literal(" ") &&
         scan.digits(4, date.year) && scan.at_end();
}

// Values of one header given twice, joined as RFC 9110 5.3 does.  Joined, not
// one of them taken: then a change of either shows.
void join(std::string &held, std::string_view more) {
  if (held == more)
    return;
  if (!held.empty())
    held += ", ";
  held += more;
}

} // namespace

std::optional<ContentRange> parse_content_range(std::string_view value) {
  Scanner scan(value);
  constexpr std::array<std::string_view, 1> kUnit = {"bytes"};
  int unit = 0;
  scan.blanks();
  if (!scan.one_of(kUnit, unit))
    return std::nullopt;
  if (!scan.literal(" ") && !scan.literal("\t") && !scan.literal("=") &&
      !scan.literal(":"))
    return std::nullopt;
  scan.blanks();

  ContentRange range;
  bool unsatisfied = scan.literal("*");
  if (!unsatisfied) {
    range.first.emplace();
    range.last.emplace();
    if (!scan.number(*range.first))
      return std::nullopt;
    scan.blanks();
    if (!scan.literal("-"))
      return std::nullopt;
    scan.blanks();
    if (!scan.number(*range.last) || *range.last < *range.first)
      return std::nullopt;
  }
  scan.blanks();
  if (!scan.literal("/"))
    return std::nullopt;
  scan.blanks();
  if (unsatisfied || !scan.literal("*")) {
    range.total.emplace();
    if (!scan.number(*range.total))
      return std::nullopt;
  }
  scan.blanks();
  if (!scan.at_end())
    return std::nullopt;
  // last is at most 2^63 - 2, so that first..last has a length, and an object
  // with an unknown total a size, that fits.
  if (range.last && *range.last >= range.total.value_or(kMaxOffset))
    return std::nullopt;
  return range;
}

std::optional<uint64_t> parse_content_length(std::string_view value) {
  Scanner scan(value);
  std::optional<uint64_t> length;
  do {
    uint64_t one = 0;
    scan.blanks();
    if (!scan.number(one) || (length && *length != one))
      return std::nullopt;
    length = one;
    scan.blanks();
  } while (scan.literal(","));
  if (!scan.at_end())
    return std::nullopt;
  return length;
}

std::optional<int64_t> parse_http_date(std::string_view value,
                                       int64_t now_unix_s) {
  value = trim(value);
  Date date;
  if (scan_imf(Scanner(value), date) || scan_asctime(Scanner(value), date))
    return date.unix_s();
  if (!scan_rfc850(Scanner(value), date))
    return std::nullopt;

  // A year that would be more than 50 years ahead is the last one that ended
  // in the same two digits (RFC 9110 5.6.7).  A clock beyond reason (before
  // 1970, after 9999) counts as 1970, 9999.
  constexpr int64_t kYearS = 31556952; // mean, in seconds
  auto this_year = static_cast<int>(
      1970 + std::clamp<int64_t>(now_unix_s / kYearS, 0, 8029));
  date.year += this_year - this_year % 100;
  if (date.year > this_year + 50)
    date.year -= 100;
  return date.unix_s();
}

std::optional<uint32_t> parse_retry_after(std::string_view value,
                                          int64_t now_unix_s) {
  value = trim(value);
  constexpr uint64_t kMax = std::numeric_limits<uint32_t>::max();
  if (!value.empty() && std::all_of(value.begin(), value.end(), is_digit)) {
    uint64_t seconds = 0;
    if (!Scanner(value).number(seconds))
      seconds = kMax; // more than 2^63: a number all the same
    return static_cast<uint32_t>(std::min(seconds, kMax));
  }
  std::optional<int64_t> date = parse_http_date(value, now_unix_s);
  if (!date)
    return std::nullopt;
  if (*date <= now_unix_s)
    return 0;
  // Unsigned: now may be any number, and the difference overflow.
  uint64_t wait =
      static_cast<uint64_t>(*date) - static_cast<uint64_t>(now_unix_s);
  return static_cast<uint32_t>(std::min(wait, kMax));
}

bool ResponseHead::is_multipart_byteranges() const {
  constexpr std::string_view kType = "multipart/byteranges";
  return equal_nocase(std::string_view(content_type).substr(0, kType.size()),
                      kType);
}

bool ResponseHead::is_web_page() const {
  constexpr std::string_view kType = "text/html";
  return equal_nocase(std::string_view(content_type).substr(0, kType.size()), kType);
}

bool ResponseHead::is_encoded() const {
  return !content_encoding.empty() &&
         !equal_nocase(content_encoding, "identity");
}

bool ResponseHead::is_transfer_coded() const {
  return !transfer_encoding.empty() && !equal_nocase(transfer_encoding, "chunked") &&
         !equal_nocase(transfer_encoding, "identity");
}

ResponseHead::Field ResponseHead::field_of(std::string_view name) {
  struct Known {
    std::string_view name;
    Field field;
  };
  constexpr std::array<Known, 10> kKnown = {{
      {"accept-ranges", Field::AcceptRanges},
      {"content-encoding", Field::ContentEncoding},
      {"content-length", Field::ContentLength},
      {"content-range", Field::ContentRange},
      {"content-type", Field::ContentType},
      {"etag", Field::ETag},
      {"last-modified", Field::LastModified},
      {"location", Field::Location},
      {"retry-after", Field::RetryAfter},
      {"transfer-encoding", Field::TransferEncoding},
  }};
  for (const Known &known : kKnown)
    if (equal_nocase(name, known.name))
      return known.field;
  return Field::None;
}

void ResponseHead::mark_malformed(std::string_view why,
                                  std::string_view value) {
  if (!malformed.empty())
    return; // the first reason is the best
  malformed = why;
  malformed += " '";
  // Hidden first: the beginning of a secret could be what is left of it.
  std::string shown = redact_text(value);
  bool cut = shown.size() > kMaxQuoted;
  malformed += cut ? escape_controls(shown.substr(0, kMaxQuoted)) + "...'" : shown + "'";
}

// "HTTP/1.1 206 Partial Content", "HTTP/2 206 ".  Starts the next head.
bool ResponseHead::take_status_line(std::string_view line) {
  Scanner scan(line);
  int code = 0;
  uint64_t version = 0;
  if (!scan.literal("HTTP/") || !scan.number(version))
    return false;
  if (scan.literal(".") && !scan.number(version))
    return false;
  if (!scan.literal(" "))
    return false;
  scan.blanks();
  if (!scan.digits(3, code) || !(scan.at_end() || scan.literal(" ")))
    return false;

  size_t bytes = head_bytes;
  *this = ResponseHead();
  head_bytes = bytes;
  status = code;
  return true;
}

void ResponseHead::take_field(Field field, std::string_view value,
                              int64_t now_unix_s) {
  switch (field) {
  case Field::None:
    break;
  case Field::AcceptRanges:
    accept_ranges_none = equal_nocase(value, "none");
    break;
  case Field::ContentEncoding:
    join(content_encoding, value);
    break;
  case Field::ContentLength: {
    std::optional<uint64_t> length = parse_content_length(value);
    if (!length)
      mark_malformed("Content-Length", value);
    else if (content_length && *content_length != *length)
      mark_malformed("a second, different Content-Length", value);
    else
      content_length = length;
    break;
  }
  case Field::ContentRange: {
    std::optional<ContentRange> range = parse_content_range(value);
    if (!range)
      mark_malformed("Content-Range", value);
    else if (content_range && *content_range != *range)
      mark_malformed("a second, different Content-Range", value);
    else
      content_range = range;
    break;
  }
  case Field::ContentType:
    join(content_type, value);
    break;
  case Field::ETag:
    if (value.starts_with("W/")) {
      etag_weak = true;
      value.remove_prefix(2);
    }
    join(etag, value);
    break;
  case Field::LastModified:
    join(last_modified, value);
    break;
  case Field::Location:
    if (location.empty())
      location = value;
    break;
  case Field::RetryAfter:
    // Nonsense is as good as no wish at all.
    if (!retry_after_s)
      retry_after_s = parse_retry_after(value, now_unix_s);
    break;
  case Field::TransferEncoding:
    join(transfer_encoding, value);
    break;
  }
}

void ResponseHead::add_line(std::string_view raw_line, int64_t now_unix_s) {
  head_bytes += std::min(raw_line.size(),
                         std::numeric_limits<size_t>::max() - head_bytes);
  std::string_view line = raw_line;
  if (line.ends_with('\n'))
    line.remove_suffix(1);
  if (line.ends_with('\r'))
    line.remove_suffix(1);

  if (take_status_line(line))
    return;
  if (complete || too_long())
    return;
  if (line.empty()) {
    complete = status != 0;
    return;
  }
  if (is_blank(line.front())) {
    // RFC 9112 5.2: obsolete folding, to be refused.  The value before it is
    // not whole, so it matters if that was one of ours.
    if (previous_ != Field::None)
      mark_malformed("a header line folded into", trim(line));
    return;
  }
  size_t colon = line.find(':');
  if (colon == line.npos) {
    previous_ = Field::None;
    return; // no header; nothing of ours is lost
  }
  previous_ = field_of(trim(line.substr(0, colon)));
  take_field(previous_, trim(line.substr(colon + 1)), now_unix_s);
}

} // namespace httpcache
