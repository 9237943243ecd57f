# SN_CHECK_DNNL: oneDNN's C API, 2.6 and up within major 2. Debian ships no .pc
# file, so header and library are looked at directly.
AC_DEFUN([SN_CHECK_DNNL], [
  AC_CHECK_HEADER([dnnl.h], [],
    [AC_MSG_ERROR([oneDNN's dnnl.h is missing (Debian: libdnnl-dev)])])
  AC_MSG_CHECKING([for oneDNN 2.6 or later within major 2])
  AC_COMPILE_IFELSE([AC_LANG_PROGRAM([[
    #include <dnnl_version.h>
    #if DNNL_VERSION_MAJOR != 2 || DNNL_VERSION_MINOR < 6
    #error unsupported
    #endif
  ]])], [AC_MSG_RESULT([yes])],
    [AC_MSG_RESULT([no])
     AC_MSG_ERROR([oneDNN has the wrong version: 2.6 or later of major 2 is needed])])
  AC_CHECK_LIB([dnnl], [dnnl_primitive_create], [DNNL_LIBS="-ldnnl -lgomp"],
    [AC_MSG_ERROR([libdnnl does not link (Debian: libdnnl-dev)])])
  AC_SUBST([DNNL_LIBS])
])

# SN_CHECK_ONNX_PROTO: onnx.proto and the compiler that makes C of it.
AC_DEFUN([SN_CHECK_ONNX_PROTO], [
  AC_ARG_VAR([PROTOC_C], [the protobuf-c compiler])
  AC_CHECK_PROGS([PROTOC_C], [protoc-c])
  AS_IF([test -z "$PROTOC_C"],
    [AC_MSG_ERROR([protoc-c is missing (Debian: protobuf-c-compiler)])])
  AC_ARG_WITH([onnx-proto],
    [AS_HELP_STRING([--with-onnx-proto=DIR], [folder that holds onnx.proto])],
    [ONNX_PROTO_DIR=$withval], [ONNX_PROTO_DIR=/usr/include/onnx])
  AS_IF([test ! -r "$ONNX_PROTO_DIR/onnx.proto"],
    [AC_MSG_ERROR([$ONNX_PROTO_DIR/onnx.proto is missing (Debian: libonnx-dev)])])
  AC_SUBST([ONNX_PROTO_DIR])
])

# SN_ENABLE_SANITIZE: --enable-sanitize=address,undefined | thread
AC_DEFUN([SN_ENABLE_SANITIZE], [
  AC_ARG_ENABLE([sanitize],
    [AS_HELP_STRING([--enable-sanitize=LIST], [build with -fsanitize=LIST])],
    [], [enable_sanitize=no])
  AS_IF([test "x$enable_sanitize" != xno], [
    AS_IF([test "x$enable_sanitize" = xyes], [enable_sanitize=address,undefined])
    CFLAGS="$CFLAGS -fsanitize=$enable_sanitize -fno-omit-frame-pointer -fno-sanitize-recover=undefined"
    LDFLAGS="$LDFLAGS -fsanitize=$enable_sanitize"
  ])
  AM_CONDITIONAL([SANITIZE], [test "x$enable_sanitize" != xno])
])

# SN_ENABLE_COVERAGE: --enable-coverage
AC_DEFUN([SN_ENABLE_COVERAGE], [
  AC_ARG_ENABLE([coverage],
    [AS_HELP_STRING([--enable-coverage], [build with --coverage, for gcov])],
    [], [enable_coverage=no])
  AS_IF([test "x$enable_coverage" = xyes], [
    CFLAGS="$CFLAGS --coverage"
    LDFLAGS="$LDFLAGS --coverage"
  ])
])

# SN_ENABLE_FUZZ: --enable-fuzz builds the fuzz targets with libFuzzer, which
# needs clang; without it they repeat their corpus alone.
AC_DEFUN([SN_ENABLE_FUZZ], [
  AC_ARG_ENABLE([fuzz],
    [AS_HELP_STRING([--enable-fuzz], [build fuzz targets with libFuzzer (CC=clang)])],
    [], [enable_fuzz=no])
  FUZZ_LDFLAGS=
  AS_IF([test "x$enable_fuzz" != xno], [
    FUZZ_LDFLAGS="-fsanitize=fuzzer"
    AC_MSG_CHECKING([whether $CC links with libFuzzer])
    sn_ldflags=$LDFLAGS
    LDFLAGS="$LDFLAGS $FUZZ_LDFLAGS"
    AC_LINK_IFELSE([AC_LANG_SOURCE([[
      #include <stddef.h>
      #include <stdint.h>
      int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
      { return (int)(size & 0) + (data == NULL ? 0 : 0); }
    ]])], [AC_MSG_RESULT([yes])],
      [AC_MSG_RESULT([no])
       AC_MSG_ERROR([--enable-fuzz needs clang: configure with CC=clang])])
    LDFLAGS=$sn_ldflags
    CFLAGS="$CFLAGS -g -fsanitize=fuzzer-no-link"
  ])
  AC_SUBST([FUZZ_LDFLAGS])
  AM_CONDITIONAL([FUZZ], [test "x$enable_fuzz" != xno])
])

# SN_CHECK_VECTORISE: VECTOR_CFLAGS lets plain loops be vectorised at -O2. GCC
# has to be told that they are worth it; clang does not know the option and
# vectorises them as it is.
AC_DEFUN([SN_CHECK_VECTORISE], [
  VECTOR_CFLAGS="-ftree-vectorize"
  AC_MSG_CHECKING([whether $CC takes -fvect-cost-model])
  sn_cflags=$CFLAGS
  CFLAGS="$CFLAGS -fvect-cost-model=dynamic"
  AC_COMPILE_IFELSE([AC_LANG_PROGRAM([], [])],
    [AC_MSG_RESULT([yes])
     VECTOR_CFLAGS="$VECTOR_CFLAGS -fvect-cost-model=dynamic"],
    [AC_MSG_RESULT([no])])
  CFLAGS=$sn_cflags
  AC_SUBST([VECTOR_CFLAGS])
])

# SN_ENABLE_WERROR: --enable-werror, and the warnings that are always on.
AC_DEFUN([SN_ENABLE_WERROR], [
  AC_ARG_ENABLE([werror],
    [AS_HELP_STRING([--enable-werror], [treat warnings as errors])],
    [], [enable_werror=no])
  WARN_CFLAGS="-Wall -Wextra -Wpedantic -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition -Wpointer-arith -Wcast-qual -Wwrite-strings -Wvla -Wno-unused-parameter -Wno-missing-field-initializers"
  AS_IF([test "x$enable_werror" = xyes], [WARN_CFLAGS="$WARN_CFLAGS -Werror"])
  AC_SUBST([WARN_CFLAGS])
])

# SN_CHECK_NODE: node builds the dashboard's bundle and runs the black-box and
# browser tests. A release tarball carries the bundle, so that --without-node
# builds all of it and leaves only those tests out.
AC_DEFUN([SN_CHECK_NODE], [
  AC_ARG_WITH([node],
    [AS_HELP_STRING([--without-node],
      [use the dashboard's bundle as it is; no black-box and browser tests])],
    [], [with_node=yes])
  AS_IF([test "x$with_node" = xno], [NODE=], [
    AC_CHECK_PROGS([NODE], [node nodejs])
    AC_CHECK_PROGS([NPM], [npm])
    AS_IF([test -n "$NODE"], [
      AC_MSG_CHECKING([whether $NODE is 18 or later])
      AS_IF([$NODE -e 'process.exit(parseInt(process.versions.node) < 18 ? 1 : 0)'],
        [AC_MSG_RESULT([yes])], [AC_MSG_RESULT([no]); NODE=])
    ])
  ])
  AC_SUBST([NODE])
  AC_SUBST([NPM])
  AM_CONDITIONAL([HAVE_NODE], [test -n "$NODE"])
])

# SN_CHECK_X86_64: whether the kernels for AVX2 and AVX-512 can be built.
AC_DEFUN([SN_CHECK_X86_64], [
  AC_REQUIRE([AC_CANONICAL_HOST])
  AM_CONDITIONAL([X86_64], [test "x$host_cpu" = xx86_64])
])

# SN_WITH_UNITS: where systemd's units go, if anywhere.
AC_DEFUN([SN_WITH_UNITS], [
  AC_ARG_WITH([systemdsystemunitdir],
    [AS_HELP_STRING([--with-systemdsystemunitdir=DIR],
      [install systemd units there (default: do not)])],
    [], [with_systemdsystemunitdir=no])
  AS_IF([test "x$with_systemdsystemunitdir" = xyes],
    [AC_MSG_ERROR([--with-systemdsystemunitdir needs a folder])])
  SYSTEMD_UNIT_DIR=$with_systemdsystemunitdir
  AC_SUBST([SYSTEMD_UNIT_DIR])
  AM_CONDITIONAL([INSTALL_UNITS], [test "x$with_systemdsystemunitdir" != xno])
])
