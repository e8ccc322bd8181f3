# The program itself: main.cc, the commands, and every room. Until src/ has a main.cc there is none.

get_property(rooms GLOBAL PROPERTY penstock_rooms)

file(GLOB program_sources CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/src/*.cc")
file(GLOB_RECURSE command_sources CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/src/commands/*.cc")
set(command_tests ${command_sources} ${program_sources})
list(FILTER command_tests INCLUDE REGEX "_test\\.cc$")
list(FILTER command_sources EXCLUDE REGEX "_test\\.cc$")
list(FILTER program_sources EXCLUDE REGEX "_test\\.cc$")

# What is above the rooms and below main(): shared by the program and the tests that drive a whole node.
set(node_sources ${program_sources} ${command_sources})
list(FILTER node_sources EXCLUDE REGEX "/src/main\\.cc$")
if(node_sources)
  add_library(penstock_node STATIC ${node_sources})
  penstock_target(penstock_node)
  target_include_directories(penstock_node PUBLIC "${PROJECT_SOURCE_DIR}/src")
  target_link_libraries(penstock_node PUBLIC ${rooms})
else()
  add_library(penstock_node INTERFACE)
  target_link_libraries(penstock_node INTERFACE ${rooms})
endif()

if(EXISTS "${PROJECT_SOURCE_DIR}/src/main.cc")
  add_executable(penstock "${PROJECT_SOURCE_DIR}/src/main.cc")
  penstock_target(penstock)
  target_link_libraries(penstock PRIVATE penstock_node)
  target_compile_definitions(penstock PRIVATE PENSTOCK_VERSION="${PROJECT_VERSION}")
  install(TARGETS penstock RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
  install(FILES "${PENSTOCK_THIRD_PARTY}/lib/libduckdb.so" "${PENSTOCK_THIRD_PARTY}/lib/libonnxruntime.so.1"
          DESTINATION ${CMAKE_INSTALL_LIBDIR}/penstock)
endif()

if(command_tests)
  add_executable(commands_tests ${command_tests})
  target_link_libraries(commands_tests PRIVATE penstock_node)
  penstock_test(commands_tests node 120)
endif()

# Benchmarks are built only when asked for: `dev bench`.
file(GLOB_RECURSE bench_sources CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/bench/*.cc")
list(FILTER bench_sources EXCLUDE REGEX "/bench/(fabric|jetstream|history)/")
if(bench_sources)
  add_executable(penstock_bench EXCLUDE_FROM_ALL ${bench_sources})
  penstock_target(penstock_bench)
  target_link_libraries(penstock_bench PRIVATE penstock_node penstock::benchmark penstock::benchmark_main)
  target_compile_definitions(penstock_bench PRIVATE PENSTOCK_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
endif()

# The client of `dev bench fabric`: it shares no code with what it measures.
file(GLOB fabric_load_sources CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/bench/fabric/*.cc")
if(fabric_load_sources)
  add_executable(fabric_load EXCLUDE_FROM_ALL ${fabric_load_sources})
  target_link_libraries(fabric_load PRIVATE penstock::threads)
endif()

# How the history's cost grows with points and days.
add_executable(history_growth EXCLUDE_FROM_ALL "${PROJECT_SOURCE_DIR}/bench/history/history_growth.cc")
penstock_target(history_growth)
target_link_libraries(history_growth PRIVATE penstock_storage)

# What a sample costs on disk, by the shape of the values.
add_executable(history_bytes EXCLUDE_FROM_ALL "${PROJECT_SOURCE_DIR}/bench/history/history_bytes.cc")
penstock_target(history_bytes)
target_link_libraries(history_bytes PRIVATE penstock_storage)
