// SPDX-License-Identifier: BSD-3-Clause
// Copyright the httpcache authors
//
// header_line.h - what a header that the user or a script gives must look like.
//
// "NAME: VALUE"; "NAME;" sends it with an empty value, and "NAME:" removes one that
// libcurl would send.  Pure; any thread.  Errors: words without the value, which is a
// secret.
#ifndef HTTPCACHE_HEADER_LINE_H
#define HTTPCACHE_HEADER_LINE_H

#include <string_view>

namespace httpcache {

// What stands before the ':' or ';'; all of LINE if there is neither.
std::string_view header_name(std::string_view line);

// What stands behind it.
std::string_view header_value(std::string_view line);

// Can it be the name of a header?  Else it may be a secret whose name was left out.
bool is_header_name(std::string_view name);

// Why it cannot be sent; empty: it can.
std::string_view why_no_header(std::string_view line);

// The same of what is to become the value of a Cookie header.
std::string_view why_no_cookie(std::string_view text);

} // namespace httpcache

#endif
