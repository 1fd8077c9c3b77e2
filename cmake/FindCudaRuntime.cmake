# Finds the CUDA runtime that LibTorch links: its headers and library beside the wheel first, then the toolkit's. No compiler of CUDA is needed.
# Output: CudaRuntime::cudart, CudaRuntime_VERSION
get_filename_component(_libtorch "${TRIBUTARY_LIBTORCH}" REALPATH)
find_package(CUDAToolkit QUIET)
file(GLOB _beside "${_libtorch}/../nvidia/cu[0-9]*" "${_libtorch}/../nvidia/cuda_runtime")
find_path(CudaRuntime_INCLUDE_DIR cuda_runtime_api.h HINTS ${_beside} ${CUDAToolkit_INCLUDE_DIRS} PATH_SUFFIXES include)
# The runtime's wheel lacks a folder that its headers include; one that LibTorch's wheel asks for has it, and so has any toolkit.
find_path(CudaRuntime_CRT_INCLUDE_DIR crt/host_defines.h HINTS ${CudaRuntime_INCLUDE_DIR} "${_libtorch}/../triton/backends/nvidia/include" ${CUDAToolkit_INCLUDE_DIRS})
if(CudaRuntime_INCLUDE_DIR)
  file(STRINGS "${CudaRuntime_INCLUDE_DIR}/cuda_runtime_api.h" _line REGEX "define CUDART_VERSION +[0-9]+")
  string(REGEX MATCH "[0-9]+$" _number "${_line}")
  math(EXPR _major "${_number} / 1000")
  math(EXPR _minor "${_number} % 1000 / 10")
  set(CudaRuntime_VERSION "${_major}.${_minor}")
  find_library(CudaRuntime_LIBRARY NAMES libcudart.so.${_major} HINTS ${_beside} ${CUDAToolkit_LIBRARY_DIR} PATH_SUFFIXES lib)
endif()
include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(CudaRuntime REQUIRED_VARS CudaRuntime_LIBRARY CudaRuntime_INCLUDE_DIR CudaRuntime_CRT_INCLUDE_DIR VERSION_VAR CudaRuntime_VERSION
  REASON_FAILURE_MESSAGE "run launch/setup --cuda (or --cuda=v100), or install the CUDA toolkit that your LibTorch was built with")
if(CudaRuntime_FOUND AND NOT TARGET CudaRuntime::cudart)
  add_library(CudaRuntime::cudart UNKNOWN IMPORTED)
  set_target_properties(CudaRuntime::cudart PROPERTIES IMPORTED_LOCATION "${CudaRuntime_LIBRARY}")
  target_include_directories(CudaRuntime::cudart SYSTEM INTERFACE "${CudaRuntime_INCLUDE_DIR}" "${CudaRuntime_CRT_INCLUDE_DIR}")
endif()
