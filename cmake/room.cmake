# A room is one folder of src/, one static library penstock_<room>, one test program <room>_tests. It may
# include only itself and the rooms it USES; tools/check_rooms reads the same table and enforces that.

set_property(GLOBAL PROPERTY penstock_rooms "")

# One compiled set of the headers of pch.h serves all rooms; one that is not optimised serves unit tests. What those
# do themselves need not be fast, and takes two fifths less to compile. Sanitizer builds have one for both.
file(CONFIGURE OUTPUT "${CMAKE_BINARY_DIR}/generated/pch.cc" CONTENT "// Compiles pch.h.\n")
function(penstock_headers target)
  add_library(${target} STATIC "${CMAKE_BINARY_DIR}/generated/pch.cc")
  target_precompile_headers(${target} PRIVATE "${PROJECT_SOURCE_DIR}/cmake/pch.h")
  target_link_libraries(${target} PUBLIC penstock::json)
  target_compile_options(${target} PRIVATE ${ARGN})
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    target_compile_options(${target} PRIVATE -fpch-preprocess)
  endif()
endfunction()
penstock_headers(penstock_pch)
if(NOT CMAKE_UNITY_BUILD)
  penstock_headers(penstock_test_pch -O0)
endif()

# penstock_target(<target> [<headers>]): gives it our precompiled headers and the include root.
function(penstock_target target)
  set(headers ${ARGN})
  if(NOT headers)
    set(headers penstock_pch)
  endif()
  target_precompile_headers(${target} REUSE_FROM ${headers})
  target_include_directories(${target} PRIVATE "${PROJECT_SOURCE_DIR}/src")
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    target_compile_options(${target} PRIVATE -fpch-preprocess)
  endif()
endfunction()

# A test program: built by the target `tests` (unit tests by `unit_tests` too), run by ctest with a time limit
# and its label.
function(penstock_test target label timeout_s)
  # Those of two rooms compute more than they are.
  if(label STREQUAL "unit" AND NOT CMAKE_UNITY_BUILD AND NOT target MATCHES "^(storage|telemetry)_")
    penstock_target(${target} penstock_test_pch)
    target_compile_options(${target} PRIVATE -O0)
  else()
    penstock_target(${target})
  endif()
  target_link_libraries(${target} PRIVATE penstock::gmock penstock::gtest)
  target_compile_definitions(${target} PRIVATE PENSTOCK_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
  add_test(NAME ${target} COMMAND ${target} --gtest_brief=1
           WORKING_DIRECTORY "${PROJECT_SOURCE_DIR}")
  set_tests_properties(${target} PROPERTIES TIMEOUT ${timeout_s} LABELS "${label}")
  add_dependencies(tests ${target})
  if(label STREQUAL "unit")
    add_dependencies(unit_tests ${target})
  endif()
  # Five files as one, also where the program's are compiled one by one: half of the time for all of them, and the
  # rebuild of one stays near ten seconds. The sanitizer builds join the same files and their neighbours.
  if(label STREQUAL "unit" AND NOT CMAKE_UNITY_BUILD)
    set_target_properties(${target} PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE 5)
    target_compile_options(${target} PRIVATE -Wno-subobject-linkage)
  endif()
endfunction()

# room(<name> [USES <room>...] [LIBS <target>...])
function(room name)
  cmake_parse_arguments(ARG "" "" "USES;LIBS" ${ARGN})
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/src/${name}/*.cc")
  set(tests ${sources})
  list(FILTER tests INCLUDE REGEX "_test\\.cc$")
  list(FILTER sources EXCLUDE REGEX "_test\\.cc$")

  # Rows of a table, and two files that the library's templates make slow enough for a compiler each.
  set(rows ${sources})
  list(FILTER rows INCLUDE REGEX "/src/(value/kpi|plant/machines)/|/src/api/(byte_stream|http_server)\\.cc$")
  set_source_files_properties(${rows} PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)

  set(target penstock_${name})
  list(TRANSFORM ARG_USES PREPEND penstock_ OUTPUT_VARIABLE uses)
  if(sources)
    add_library(${target} STATIC ${sources})
    penstock_target(${target})
    set(scope PUBLIC)
  else()
    add_library(${target} INTERFACE)
    set(scope INTERFACE)
  endif()
  target_include_directories(${target} ${scope} "${PROJECT_SOURCE_DIR}/src")
  target_link_libraries(${target} ${scope} ${uses} ${ARG_LIBS} penstock::threads)
  set_property(GLOBAL APPEND PROPERTY penstock_rooms ${target})

  if(tests)
    add_executable(${name}_tests ${tests})
    target_link_libraries(${name}_tests PRIVATE ${target})
    penstock_test(${name}_tests unit 120)
  endif()
endfunction()
