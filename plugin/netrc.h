// SPDX-License-Identifier: BSD-3-Clause
// Copyright the httpcache authors
//
// netrc.h - the file of logins that ftp(1) and curl(1) read, ~/.netrc.
//
// Read here and not by libcurl, so that it is known what is secret in it before
// any request, that the file is read once and as the user who started nbdkit,
// and that its `default` is not given to whoever a redirect leads to.
//
// Understood: machine, default, login, password, account and macdef (the last
// two are skipped), lines that begin with '#', and words in double quotes, in
// which \" \\ \n \r and \t stand for characters.  Pure; any thread.  Errors are
// Permanent with EINVAL; their text tells the line and nothing that is in it.
#ifndef HTTPCACHE_NETRC_H
#define HTTPCACHE_NETRC_H

#include <string>
#include <string_view>
#include <vector>

#include "error.h"

namespace httpcache {

class Netrc {
public:
  struct Entry {
    std::string machine; // in lower case; empty: `default`, any
    std::string login;
    std::string password;
  };

  static Result<Netrc> parse(std::string_view text);

  // The first entry for HOST (without port and brackets, in lower case), the
  // default one only if it may be given to HOST; null if there is none.
  const Entry *find(std::string_view host, bool allow_default) const;

  const std::vector<Entry> &entries() const { return entries_; }

private:
  std::vector<Entry> entries_;
};

} // namespace httpcache

#endif
