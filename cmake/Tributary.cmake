# Compiler settings of every target, the shared precompiled header, and the two functions by which folders become libraries.

find_program(CCACHE_PROGRAM ccache)
if(CCACHE_PROGRAM AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  # ccache accepts a precompiled header only with these; see the manual's chapter on precompiled headers.
  set(CMAKE_CXX_COMPILER_LAUNCHER
      "${CMAKE_COMMAND};-E;env;CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime;${CCACHE_PROGRAM}")
endif()

add_library(tributary_options INTERFACE)
target_compile_options(tributary_options INTERFACE -Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor -Wno-missing-field-initializers
                                                   $<$<BOOL:${TRIBUTARY_WERROR}>:-Werror>)
target_include_directories(tributary_options INTERFACE "${PROJECT_SOURCE_DIR}/src")

# tributary_library(<folder> [TORCH] [LINK <libraries>...]): every *.cpp of the folder, subfolders included, as one library.
# TORCH: compiled with ATen/ATen.h as the precompiled header that all such folders share.
function(tributary_library folder)
  cmake_parse_arguments(arg "TORCH" "" "LINK" ${ARGN})
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS "${CMAKE_CURRENT_SOURCE_DIR}/${folder}/*.cpp")
  list(FILTER sources EXCLUDE REGEX "/main\\.cpp$")
  if(TRIBUTARY_CUDA)
    list(FILTER sources EXCLUDE REGEX "_without_cuda\\.cpp$")
  else()
    list(FILTER sources EXCLUDE REGEX "_with_cuda\\.cpp$")
  endif()
  # Kernels are compiled by themselves: what is inlined in them does not depend on what else the folder holds.
  foreach(source IN LISTS sources)
    file(STRINGS "${source}" kernel REGEX "(vectorised|vector_math|philox_lanes|matmul_kernel)\\.h|TRIBUTARY_VECTORISED|immintrin\\.h" LIMIT_COUNT 1)
    if(kernel)
      set_source_files_properties("${source}" PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
    endif()
  endforeach()
  add_library(tributary_${folder} STATIC ${sources})
  target_link_libraries(tributary_${folder} PUBLIC tributary_options ${arg_LINK})
  if(arg_TORCH)
    tributary_torch(tributary_${folder})
  endif()
endfunction()

set(TRIBUTARY_PCH tributary_pch)

# Links LibTorch and reuses the precompiled ATen header, that of the target TRIBUTARY_PCH: it brings the optimisation it was compiled with.
function(tributary_torch target)
  target_link_libraries(${target} PUBLIC $<IF:$<BOOL:${TRIBUTARY_CUDA}>,LibTorch::cuda,LibTorch::cpu>)
  target_compile_options(${target} PRIVATE -fpch-preprocess)
  if(NOT target MATCHES "_pch$")
    target_precompile_headers(${target} REUSE_FROM ${TRIBUTARY_PCH})
  endif()
endfunction()

# For which GPUs LibTorch has kernels; it does not say so itself. As its published builds of a CUDA version do.
function(tributary_gpu_architectures)
  if(TRIBUTARY_GPU_ARCHITECTURES)
    return()
  endif()
  set(known 75 80 86 90)
  if(CudaRuntime_VERSION VERSION_GREATER_EQUAL 12.8)
    list(APPEND known 100 120)
  endif()
  if(CudaRuntime_VERSION VERSION_LESS 13 AND LibTorch_VERSION VERSION_LESS 2.11)
    list(PREPEND known 70)
  endif()
  set(TRIBUTARY_GPU_ARCHITECTURES "${known}" PARENT_SCOPE)
endfunction()
