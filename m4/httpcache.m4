# SPDX-License-Identifier: BSD-3-Clause
# Copyright the httpcache authors
#
# What configure.ac asks of the compiler and of the machine.

# HTTPCACHE_CXX20
# ---------------
# Add -std=c++20 to CXX, and prove with what the sources use that the compiler
# and its library know C++20.
AC_DEFUN([HTTPCACHE_CXX20],
[AC_CACHE_CHECK([how $CXX takes C++20], [httpcache_cv_cxx20],
  [httpcache_cv_cxx20=no
   httpcache_save_CXX=$CXX
   for httpcache_flag in -std=c++20 -std=c++2a; do
     CXX="$httpcache_save_CXX $httpcache_flag"
     AC_COMPILE_IFELSE([AC_LANG_PROGRAM([[
       #include <bit>
       #include <compare>
       #include <concepts>
       #include <cstdint>
       #include <span>
       #if __cplusplus < 202002L && !defined(__clang__) && __cplusplus < 201709L
       #error "not C++20"
       #endif
       struct Index {
         uint64_t value = 0;
         auto operator<=>(const Index &) const = default;
       };
       template <std::integral T> T twice(T n) { return n + n; }
       ]], [[
       int bytes[2] = {1, 2};
       std::span<int> view(bytes);
       Index index{.value = 4};
       return !(std::has_single_bit(index.value) && index < Index{5} &&
                twice(view[1]) == 4);
       ]])], [httpcache_cv_cxx20=$httpcache_flag])
     CXX=$httpcache_save_CXX
     test "$httpcache_cv_cxx20" = no || break
   done])
AS_IF([test "$httpcache_cv_cxx20" = no],
  [AC_MSG_ERROR([a C++20 compiler is needed: g++ 12, clang++ 14 or later])])
CXX="$CXX $httpcache_cv_cxx20"])

# HTTPCACHE_CXX_FLAGS(VARIABLE, FLAGS)
# ------------------------------------
# Set VARIABLE to those of FLAGS that the compiler takes.
AC_DEFUN([HTTPCACHE_CXX_FLAGS],
[$1=
httpcache_save_CXXFLAGS=$CXXFLAGS
for httpcache_flag in m4_normalize([$2]); do
  AC_MSG_CHECKING([whether $CXX takes $httpcache_flag])
  # Clang only warns of what it does not know, unless told otherwise.
  CXXFLAGS="$httpcache_save_CXXFLAGS -Werror $httpcache_flag"
  AC_COMPILE_IFELSE([AC_LANG_PROGRAM()],
    [AC_MSG_RESULT([yes])
     $1="$$1${$1:+ }$httpcache_flag"],
    [AC_MSG_RESULT([no])])
done
CXXFLAGS=$httpcache_save_CXXFLAGS
AC_SUBST([$1])])

# HTTPCACHE_CATCH2
# ----------------
# Set catch2 to 2, 3 or no; CATCH2_CFLAGS and CATCH2_LIBS; unit_tests to what
# the summary says. CATCH2_VERSION goes into build_config.h, for tests/catch.h.
AC_DEFUN([HTTPCACHE_CATCH2],
[PKG_CHECK_MODULES([CATCH2], [catch2-with-main >= 3],
  [catch2=3
   unit_tests="Catch2 $($PKG_CONFIG --modversion catch2-with-main)"],
  [AC_CHECK_HEADER([catch2/catch.hpp], [catch2=2], [catch2=no])])
AS_CASE([$catch2],
  [2], [unit_tests="Catch2 2 (one header)"
        AC_DEFINE([CATCH2_VERSION], [2], [The major version of Catch2.])],
  [3], [AC_DEFINE([CATCH2_VERSION], [3], [The major version of Catch2.])],
  [unit_tests="off (Catch2 not found)"])
AC_SUBST([CATCH2_CFLAGS])
AC_SUBST([CATCH2_LIBS])])

# HTTPCACHE_SANITIZERS
# --------------------
# SANITIZER_CXXFLAGS and SANITIZER_LDFLAGS, and NBDKIT_PRELOAD: the libraries
# that have to be preloaded into an nbdkit that was built without.
AC_DEFUN([HTTPCACHE_SANITIZERS],
[AC_REQUIRE([AC_PROG_SED])
SANITIZER_CXXFLAGS=
SANITIZER_LDFLAGS=
NBDKIT_PRELOAD=
sanitizers=none
AS_IF([test "$enable_asan_ubsan" != no && test "$enable_tsan" != no],
  [AC_MSG_ERROR([--enable-asan-ubsan and --enable-tsan exclude each other])])
AS_IF([test "$enable_asan_ubsan" != no],
  [sanitizers="AddressSanitizer, UndefinedBehaviorSanitizer"
   httpcache_sanitize="-fsanitize=address,undefined -fno-sanitize-recover=all"])
AS_IF([test "$enable_tsan" != no],
  [sanitizers="ThreadSanitizer"
   httpcache_sanitize="-fsanitize=thread"])
AS_IF([test "$sanitizers" != none],
  [SANITIZER_CXXFLAGS="$httpcache_sanitize -fno-omit-frame-pointer"
   # nodelete: nbdkit unloads a plugin before it exits, and what is reported at
   # exit would have no names, and leaks where a global of libcurl's pointed.
   SANITIZER_LDFLAGS="$httpcache_sanitize -Wl,-z,nodelete"
   AC_MSG_CHECKING([for the sanitizer's libraries])
   httpcache_save_CXXFLAGS=$CXXFLAGS
   CXXFLAGS="$CXXFLAGS $httpcache_sanitize"
   AC_LINK_IFELSE([AC_LANG_PROGRAM()],
     # All in one line, and UBSan's behind ASan's, which wants to be the first.
     [httpcache_runtime=$(ldd "conftest$EXEEXT" |
        $SED -n 's,.*=> \(/.*/lib[[atub]]*san\.so[[^ ]]*\).*,\1,p' | sort |
        tr '\n' ' ')])
   CXXFLAGS=$httpcache_save_CXXFLAGS
   AS_IF([test -z "$httpcache_runtime"],
     [AC_MSG_ERROR([$CXX links no shared sanitizer library, which nbdkit must preload; use g++])])
   AC_MSG_RESULT([$httpcache_runtime])
   NBDKIT_PRELOAD="$httpcache_runtime$(pwd)/tests/.libs/sanitizer-preload.so"])
AM_CONDITIONAL([HAVE_SANITIZER], [test "$sanitizers" != none])
AC_SUBST([SANITIZER_CXXFLAGS])
AC_SUBST([SANITIZER_LDFLAGS])
AC_SUBST([NBDKIT_PRELOAD])])

# HTTPCACHE_VERSION_SCRIPT
# ------------------------
# VERSION_SCRIPT_LDFLAGS: the linker's switch before the symbol script's name.
AC_DEFUN([HTTPCACHE_VERSION_SCRIPT],
[AC_MSG_CHECKING([whether the linker takes --version-script])
echo '{ global: main; local: *; };' >conftest.syms
httpcache_save_LDFLAGS=$LDFLAGS
LDFLAGS="$LDFLAGS -shared -fPIC -Wl,--version-script=conftest.syms"
AC_LINK_IFELSE([AC_LANG_SOURCE([[extern "C" int exported() { return 0; }]])],
  [AC_MSG_RESULT([yes])],
  [AC_MSG_ERROR([the linker takes no --version-script, so libcurl's users would clash])])
LDFLAGS=$httpcache_save_LDFLAGS
rm -f conftest.syms
AC_SUBST([VERSION_SCRIPT_LDFLAGS], [-Wl,--version-script=])])

# HTTPCACHE_TEST_TOOLS(PROGRAMS)
# ------------------------------
# Set tools_found and tools_missing, for the summary.
AC_DEFUN([HTTPCACHE_TEST_TOOLS],
[tools_found=
tools_missing=
for httpcache_tool in m4_normalize([$1]); do
  AS_IF([(PATH=$PATH:/usr/sbin:/sbin; command -v "$httpcache_tool") >/dev/null 2>&1],
    [tools_found="$tools_found $httpcache_tool"],
    [tools_missing="$tools_missing $httpcache_tool"])
done])
