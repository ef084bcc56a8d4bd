// SPDX-License-Identifier: BSD-3-Clause
// Copyright the httpcache authors

#include "renewal.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "ascii.h"
#include "config_values.h"
#include "header_line.h"
#include "log.h"

namespace httpcache {

namespace {

constexpr size_t kMostShown = 300; // bytes of what a script complains of

bool is_space(char c) { return is_blank(c) || c == '\r' || c == '\v' || c == '\f'; }

// The lines of TEXT that are not empty, without white space behind them, and their
// numbers.
std::vector<std::pair<unsigned, std::string_view>> split_lines(std::string_view text) {
  std::vector<std::pair<unsigned, std::string_view>> lines;
  for (unsigned number = 1; !text.empty(); ++number) {
    std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    while (!line.empty() && is_space(line.back()))
      line.remove_suffix(1);
    if (!line.empty())
      lines.emplace_back(number, line);
  }
  return lines;
}

} // namespace

Renewal::Renewal(const Config &config)
    : url_(config.url_as_given), folder_(config.folder), timeout_s_(config.timeout_s),
      given_(std::make_shared<Given>()) {
  add("header-script=", config.header_script, config.header_script_renew_s, false);
  add("cookie-script=", config.cookie_script, config.cookie_script_renew_s, true);
}

Renewal::~Renewal() = default;

void Renewal::add(std::string_view parameter, const std::string &command, uint32_t renew_s,
                  bool is_cookie) {
  if (command.empty())
    return;
  names_ += fmt::format("{}{}", names_.empty() ? "" : " and ", parameter);
  Source source;
  source.parameter = parameter;
  source.command = command;
  source.is_cookie = is_cookie;
  source.renew = std::chrono::seconds(renew_s);
  sources_.push_back(std::move(source));
}

bool Renewal::current(TimePoint now) {
  for (Source &source : sources_) {
    if (source.worked && source.renew > Duration::zero() && now - source.began >= source.renew)
      source.due = true;
    in_round_ = in_round_ || source.due;
  }
  return !in_round_;
}

bool Renewal::worth_renewing(uint64_t number, TimePoint now) const {
  return number < given_->number || in_round_ || (accepted_ && !in_vain_) ||
         now - given_at_ >= kNew;
}

void Renewal::refused(uint64_t number) {
  if (number < given_->number)
    return;
  for (Source &source : sources_)
    source.due = source.due || !source.begun_in_round;
  in_round_ = true;
}

void Renewal::accepted(uint64_t number) {
  accepted_ = accepted_ || number == given_->number;
}

void Renewal::refused_again(uint64_t number) {
  in_vain_ = in_vain_ || number == given_->number;
}

std::optional<Result<void>> Renewal::tend(TimePoint now) {
  while (in_round_) {
    Result<void> ok;
    if (script_) {
      if (!script_->tend(now))
        return std::nullopt;
      ok = take(*running_, now);
      script_.reset();
    } else {
      running_ = nullptr;
      for (Source &source : sources_)
        if (source.due && running_ == nullptr)
          running_ = &source;
      if (running_ == nullptr) {
        end_round(now);
        return Result<void>();
      }
      ok = start(*running_, now);
    }
    if (!ok) {
      in_round_ = false;
      for (Source &source : sources_)
        source.begun_in_round = false;
      log(LogArea::Http, "{}", ok.error().what);
      return ok;
    }
  }
  return std::nullopt;
}

Result<void> Renewal::start(Source &source, TimePoint now) {
  log(LogArea::Http, "{} is run, iteration {}", source.parameter, source.runs);
  Script::Setting setting{source.command,
                          {"url=" + url_, fmt::format("iteration={}", source.runs)},
                          folder_,
                          std::chrono::seconds(timeout_s_ > 0 ? timeout_s_ : kDefaultTimeoutS)};
  ++source.runs;
  source.begun_in_round = true;
  run_began_ = now;
  Result<std::unique_ptr<Script>> script = Script::start(setting, now);
  if (!script)
    return std::move(script.error().add_context(source.parameter));
  script_ = std::move(script).value();
  return {};
}

// What the script printed, now that it has ended.
Result<void> Renewal::take(Source &source, TimePoint now) {
  Result<std::vector<std::string>> lines = lines_of(source);
  if (!lines)
    return std::move(lines).error();
  log(LogArea::Http, "{} has given {} {}{} in {} ms", source.parameter, lines.value().size(),
      source.is_cookie ? "cookie line" : "header", lines.value().size() == 1 ? "" : "s",
      ms_between(run_began_, now));
  source.lines = std::move(lines).value();
  source.began = run_began_;
  source.due = false;
  source.worked = true;
  return {};
}

Result<std::vector<std::string>> Renewal::lines_of(const Source &source) const {
  auto printed = split_lines(script_->output());
  // Also what is of no use; its errors may repeat it.
  PassingSecrets hidden;
  for (const auto &[number, line] : printed) {
    hidden.add(line);
    hidden.add(header_value(line));
  }
  if (!script_->succeeded())
    return failure(source, script_->how_it_ended());
  std::vector<std::string> lines;
  for (const auto &[number, line] : printed) {
    std::string_view why = source.is_cookie ? why_no_cookie(line) : why_no_header(line);
    if (!why.empty())
      return failure(source, fmt::format("printed what is no {}, in line {}: {}",
                                         source.is_cookie ? "cookie" : "header", number, why));
    lines.emplace_back(line);
  }
  if (source.is_cookie && lines.size() > 1)
    return failure(source, fmt::format("printed {} lines", lines.size()));
  return lines;
}

Error Renewal::failure(const Source &source, std::string_view what) const {
  std::string text = fmt::format("{} {}", source.parameter, what);
  // Redacted first: the beginning of a secret could be what is left of it.
  std::string said = redact_text(script_->first_complaint()).substr(0, kMostShown);
  if (!said.empty())
    text += fmt::format("; on stderr it said: {}", escape_controls(said));
  if (script_->took_too_long())
    text += timeout_s_ > 0 ? " (timeout= is the time for scripts, too)"
                           : " (which timeout=0 leaves to scripts: give a longer timeout=)";
  else if (source.is_cookie)
    text += " (it must print one line, such as 'NAME=VALUE; NAME=VALUE', and end with exit "
            "status 0)";
  else
    text += " (it must print headers, such as 'Authorization: Bearer TOKEN', one a line, and end "
            "with exit status 0)";
  return {source.worked ? ErrorKind::Transient : ErrorKind::Permanent, EIO, 0, std::move(text), {}};
}

void Renewal::end_round(TimePoint now) {
  auto given = std::make_shared<Given>();
  given->number = given_->number + 1;
  for (Source &source : sources_) {
    source.begun_in_round = false;
    for (const std::string &line : source.lines)
      if (source.is_cookie) {
        given->cookie = line;
        given->hidden.add_header("Cookie", line);
      } else {
        given->headers.push_back(line);
        given->hidden.add_header(header_name(line), header_value(line));
      }
  }
  given_ = std::move(given);
  given_at_ = now;
  accepted_ = in_vain_ = false;
  in_round_ = false;
}

TimePoint Renewal::next_look() const {
  if (script_)
    return script_->next_look();
  return in_round_ ? TimePoint() : TimePoint::max();
}

std::array<int, 2> Renewal::descriptors() const {
  return script_ ? script_->descriptors() : std::array<int, 2>{-1, -1};
}

} // namespace httpcache
