# How everything is compiled: the language, the warnings, the sanitizers, the linker, the compiler cache.

set(CMAKE_CXX_STANDARD 23)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

option(PENSTOCK_WERROR "warnings are errors" ON)
set(PENSTOCK_SANITIZE "" CACHE STRING "sanitizers, as -fsanitize= takes them: address,undefined or thread")
option(PENSTOCK_LIBFUZZER "fuzz targets with libFuzzer (clang) instead of the driver of tests/fuzz" OFF)

if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 12)
  message(FATAL_ERROR "g++ ${CMAKE_CXX_COMPILER_VERSION} is too old: 12 is the first with std::expected")
endif()

# One setting for libraries and programs, so that all share one precompiled header.
add_compile_options(-fPIE)
add_link_options(-pie)

add_compile_options(-Wall -Wextra -Wpedantic -fno-omit-frame-pointer)
# Designated initialisers name what differs from the members' defaults; that is their point.
add_compile_options(-Wno-missing-field-initializers)
if(PENSTOCK_WERROR)
  add_compile_options(-Werror)
endif()
if(PENSTOCK_SANITIZE STREQUAL "thread")
  # Boost.Asio has fences, which g++ says it cannot follow; what it can is still found.
  add_compile_options(-Wno-tsan)
endif()

# The oldest machines we run on: x86-64-v2 (2009: SSE4.2 with its CRC32C) and ARMv8 with its CRC extension.
# Kernels that want more choose at run time.
if(CMAKE_SYSTEM_PROCESSOR STREQUAL "x86_64")
  add_compile_options(-march=x86-64-v2)
elseif(CMAKE_SYSTEM_PROCESSOR STREQUAL "aarch64")
  add_compile_options(-march=armv8-a+crc)
endif()

if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  # libstdc++ 12 hides std::expected from compilers below this value; clang has what it needs since 16.
  if(CMAKE_CXX_COMPILER_VERSION VERSION_LESS 19)
    add_compile_options(-Wno-macro-redefined -D__cpp_concepts=202002L)
  endif()
elseif(CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  # False alarms of g++ 12 inside its own standard library when it inlines deeply.
  add_compile_options(-Wno-restrict -Wno-stringop-overflow -Wno-array-bounds -Wno-maybe-uninitialized)
endif()

# Sanitizer builds compile ten files as one (a third of the time): so a name in an anonymous namespace is
# unique in its room (tools/check_names). Folders whose files are rows of one table, all alike, are compiled one by one.
# The address sanitizer's has -Og: two thirds of the time of -O1 to compile, a sixth more to run, and fewer accesses
# optimised away before they are looked at. Warnings are errors at -O2 alone (preset dev): g++ guesses others here.
set(CMAKE_UNITY_BUILD_BATCH_SIZE 10)
if(CMAKE_UNITY_BUILD)
  add_compile_options(-Wno-subobject-linkage)  # Everything of the batch looks like a header to it.
endif()

if(PENSTOCK_SANITIZE)
  add_compile_options(-fsanitize=${PENSTOCK_SANITIZE} -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${PENSTOCK_SANITIZE})
  add_compile_definitions(PENSTOCK_SANITIZED=1)
endif()
if(PENSTOCK_LIBFUZZER)
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()

find_program(PENSTOCK_MOLD mold)
find_program(PENSTOCK_LLD ld.lld)
mark_as_advanced(PENSTOCK_MOLD PENSTOCK_LLD)
if(PENSTOCK_MOLD)
  add_link_options(-fuse-ld=mold)
elseif(PENSTOCK_LLD)
  add_link_options(-fuse-ld=lld)
endif()

# A program loads only the libraries that it calls.
add_link_options(-Wl,--as-needed)

# The precompiled header makes ccache look at more than it would by itself.
find_program(PENSTOCK_CCACHE ccache)
mark_as_advanced(PENSTOCK_CCACHE)
if(PENSTOCK_CCACHE)
  set(CMAKE_CXX_COMPILER_LAUNCHER
      "${CMAKE_COMMAND}" -E env
      CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime
      "${PENSTOCK_CCACHE}")
endif()

# Two heavy links at a time is what 4 GB per core can bear.
set_property(GLOBAL PROPERTY JOB_POOLS link=2)
set(CMAKE_JOB_POOL_LINK link)

# Libraries under third_party/ are found from the build folder by their path, and from an installed tree
# beside the program.
set(CMAKE_INSTALL_RPATH "$ORIGIN/../lib/penstock")
set(CMAKE_LINK_DEPENDS_NO_SHARED ON)
