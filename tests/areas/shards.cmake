add_mpi_test(data_set RANKS 1 2 3 4 LINK tributary_shards)

add_executable(write_random_set support/write_random_set.cpp)
target_include_directories(write_random_set PRIVATE "${CMAKE_CURRENT_SOURCE_DIR}")
target_link_libraries(write_random_set PRIVATE tributary_shards)
add_script_test(shards.read_with_h5py shards/read_with_h5py.py PROCESSORS 3)
add_script_test(shards.faults shards/faults.py PROCESSORS 3)
