# Finds LibTorch (2.7 or later) from a wheel or a zip, without the toolkit that its own package file asks for.
# Input:  TRIBUTARY_LIBTORCH (cache or environment): the folder with include/ and lib/; default .deps/libtorch-{cpu,cuda}
# Output: LibTorch::cpu, LibTorch::cuda (with TRIBUTARY_CUDA), LibTorch_VERSION

set(_libtorch_set cpu)
if(TRIBUTARY_CUDA)
  set(_libtorch_set cuda)
endif()
if(DEFINED ENV{TRIBUTARY_LIBTORCH} AND NOT TRIBUTARY_LIBTORCH)
  set(TRIBUTARY_LIBTORCH "$ENV{TRIBUTARY_LIBTORCH}")
endif()
if(NOT TRIBUTARY_LIBTORCH)
  set(TRIBUTARY_LIBTORCH "${PROJECT_SOURCE_DIR}/.deps/libtorch-${_libtorch_set}")
endif()
get_filename_component(_libtorch "${TRIBUTARY_LIBTORCH}" REALPATH)

find_path(LibTorch_INCLUDE_DIR ATen/ATen.h PATHS "${_libtorch}/include" NO_DEFAULT_PATH NO_CACHE)
find_library(LibTorch_CPU_LIBRARY torch_cpu PATHS "${_libtorch}/lib" NO_DEFAULT_PATH NO_CACHE)
find_library(LibTorch_C10_LIBRARY c10 PATHS "${_libtorch}/lib" NO_DEFAULT_PATH NO_CACHE)
if(LibTorch_INCLUDE_DIR)
  file(STRINGS "${LibTorch_INCLUDE_DIR}/torch/headeronly/version.h" _version_lines REGEX "define TORCH_VERSION_(MAJOR|MINOR|PATCH) ")
  if(NOT _version_lines)
    file(STRINGS "${LibTorch_INCLUDE_DIR}/torch/csrc/api/include/torch/version.h" _version_lines REGEX "define TORCH_VERSION_(MAJOR|MINOR|PATCH) ")
  endif()
  string(REGEX MATCHALL "[0-9]+" _version_numbers "${_version_lines}")
  list(JOIN _version_numbers "." LibTorch_VERSION)
endif()

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(LibTorch REQUIRED_VARS LibTorch_INCLUDE_DIR LibTorch_CPU_LIBRARY LibTorch_C10_LIBRARY VERSION_VAR LibTorch_VERSION
  REASON_FAILURE_MESSAGE "run launch/setup, or set TRIBUTARY_LIBTORCH to the folder with include/ and lib/ (looked in ${_libtorch})")
if(LibTorch_FOUND AND LibTorch_VERSION VERSION_LESS 2.7)
  message(FATAL_ERROR "LibTorch ${LibTorch_VERSION} in ${_libtorch} is older than 2.7; run launch/setup or give a newer TRIBUTARY_LIBTORCH")
endif()

if(LibTorch_FOUND AND NOT TARGET LibTorch::cpu)
  add_library(LibTorch::c10 SHARED IMPORTED)
  set_target_properties(LibTorch::c10 PROPERTIES IMPORTED_LOCATION "${LibTorch_C10_LIBRARY}")
  add_library(LibTorch::cpu SHARED IMPORTED)
  set_target_properties(LibTorch::cpu PROPERTIES IMPORTED_LOCATION "${LibTorch_CPU_LIBRARY}")
  # After the system's folders: LibTorch ships headers of other libraries (fmt) in a version of its own, for which no library is linked.
  target_compile_options(LibTorch::cpu INTERFACE "SHELL:-idirafter ${LibTorch_INCLUDE_DIR}" "SHELL:-idirafter ${LibTorch_INCLUDE_DIR}/torch/csrc/api/include")
  target_link_libraries(LibTorch::cpu INTERFACE LibTorch::c10 Threads::Threads)
  # The wheel keeps the two CUDA libraries that torch_cpu links in folders beside it.
  file(GLOB _beside "${_libtorch}/../nvidia/*/lib" "${_libtorch}/../nvidia/*/*/lib")
  foreach(_folder IN LISTS _beside)
    target_link_options(LibTorch::cpu INTERFACE "-Wl,-rpath-link,${_folder}")
    list(APPEND CMAKE_BUILD_RPATH "${_folder}")
  endforeach()
  if(TRIBUTARY_CUDA)
    find_library(LibTorch_CUDA_LIBRARY torch_cuda PATHS "${_libtorch}/lib" NO_DEFAULT_PATH NO_CACHE REQUIRED)
    find_library(LibTorch_C10_CUDA_LIBRARY c10_cuda PATHS "${_libtorch}/lib" NO_DEFAULT_PATH NO_CACHE REQUIRED)
    add_library(LibTorch::cuda SHARED IMPORTED)
    set_target_properties(LibTorch::cuda PROPERTIES IMPORTED_LOCATION "${LibTorch_CUDA_LIBRARY}")
    target_link_libraries(LibTorch::cuda INTERFACE "${LibTorch_C10_CUDA_LIBRARY}" LibTorch::cpu "$<LINK_ONLY:CudaRuntime::cudart>")
    # Nothing calls into it by name: its operators register themselves when it is loaded.
    target_link_options(LibTorch::cuda INTERFACE "-Wl,--no-as-needed")
  endif()
endif()
