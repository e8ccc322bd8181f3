# The web console inside the binary: npm builds console/ into console/dist when its sources changed, then
# tools/embed packs that folder into one object file behind src/api/console_assets.h. Without npm's packages
# (or before there is a console) a page that says so takes its place, so that the program builds anyway.

set(console_dir "${PROJECT_SOURCE_DIR}/console")
set(embedded "${CMAKE_BINARY_DIR}/generated/console_assets.cc")
find_program(PENSTOCK_NPM npm)
find_program(PENSTOCK_PYTHON python3 REQUIRED)
mark_as_advanced(PENSTOCK_NPM PENSTOCK_PYTHON)
# Builds of the tests under a sanitizer need no console.
option(PENSTOCK_CONSOLE "build the web console into the binary" ON)

if(PENSTOCK_CONSOLE AND PENSTOCK_NPM AND EXISTS "${console_dir}/package.json")
  file(GLOB_RECURSE console_sources CONFIGURE_DEPENDS "${console_dir}/src/*" "${console_dir}/public/*")
  file(GLOB console_settings CONFIGURE_DEPENDS "${console_dir}/*.json" "${console_dir}/*.ts" "${console_dir}/*.html")
  add_custom_command(
    OUTPUT "${CMAKE_BINARY_DIR}/generated/console.stamp"
    COMMAND "${CMAKE_COMMAND}" -E env "NPM=${PENSTOCK_NPM}" "${PROJECT_SOURCE_DIR}/tools/build_console"
    COMMAND "${CMAKE_COMMAND}" -E touch "${CMAKE_BINARY_DIR}/generated/console.stamp"
    DEPENDS ${console_sources} ${console_settings} "${PROJECT_SOURCE_DIR}/tools/build_console"
    WORKING_DIRECTORY "${console_dir}"
    COMMENT "Building the console")
  set(console_input "${console_dir}/dist")
  set(console_stamp "${CMAKE_BINARY_DIR}/generated/console.stamp")
else()
  set(console_input "${PROJECT_SOURCE_DIR}/cmake/no_console")
  set(console_stamp "${PROJECT_SOURCE_DIR}/cmake/no_console/index.html")
endif()

add_custom_command(
  OUTPUT "${embedded}"
  COMMAND "${PENSTOCK_PYTHON}" "${PROJECT_SOURCE_DIR}/tools/embed" "${console_input}" "${embedded}"
  DEPENDS "${console_stamp}" "${PROJECT_SOURCE_DIR}/tools/embed"
  COMMENT "Embedding the console")
add_library(console_assets STATIC "${embedded}")
target_include_directories(console_assets PRIVATE "${PROJECT_SOURCE_DIR}/src")
