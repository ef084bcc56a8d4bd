// SPDX-License-Identifier: BSD-3-Clause
// Copyright the httpcache authors
//
// url.h - from a URL as people write it to one that can be asked for.
//
// Wraps libcurl's URL parser, so that what is accepted here is what libcurl
// will understand, and the same way.  Needs no curl_global_init.
//
// Threads: pure, any.  Errors are Permanent with EINVAL, and show the URL only
// through redact_url().
#ifndef HTTPCACHE_URL_H
#define HTTPCACHE_URL_H

#include <string>
#include <string_view>

#include "error.h"

namespace httpcache {

struct Url {
  std::string request; // to be given to libcurl: percent-encoded, without user
                       // info and fragment; the query is kept, so: secret
  std::string scheme;  // "http" or "https"
  std::string host;    // "example.com", "[::1]"
  std::string query;   // without '?'; empty: none
  std::string user;    // of user:password@, decoded; empty: none
  std::string password;
};

// Accepts http and https, in any case.  Spaces, non-ASCII bytes and others
// that may not stand in a path or query, and a '%' that begins no escape, are
// percent-encoded; escapes that are there already stay as they are.  A host
// name in Unicode is left to libcurl (IDN).  KEY is the parameter, for messages.
Result<Url> parse_url(std::string_view text, std::string_view key = "url");

// Are scheme, host (with the zone of an IPv6 address) and port of both URLs the same?  Not
// if either is no URL.
bool same_origin(std::string_view a, std::string_view b);

// The host of a URL, in lower case and without brackets; empty if it is no URL.
std::string host_of(std::string_view url);

// What the Host header of a request for URL says: "example.com:8080", the port only if it
// is not the scheme's; empty if it is no URL.
std::string authority_of(std::string_view url);

// Where REFERENCE, a redirect's Location, leads from BASE, without a fragment; blanks and
// bytes that are not ASCII are percent-encoded, for servers leave them in.  Any scheme.
// Empty if it is no URL.
std::string resolve_reference(std::string_view base, std::string_view reference);

// URL as AWS Signature Version 4 signs it: in path and query all is encoded but
// letters, digits, "-._~" and what separates; the fields of the query are in
// order, and have their '='.  libcurl before 8.1 signs a URL as it is, so it
// must be asked for like this.
std::string canonical_for_signing(std::string_view url);

struct ProxyUrl {
  std::string request; // as CURLOPT_PROXY takes it: scheme://host[:port], without
                       // user info
  std::string user;    // decoded; empty: none
  std::string password;
};

// As curl takes it: [scheme://][user:password@]host[:port].
Result<ProxyUrl> parse_proxy(std::string_view text);

// The encoding alone, of everything behind the host.
std::string percent_encode_url(std::string_view text);

} // namespace httpcache

#endif
