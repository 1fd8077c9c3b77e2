add_mpi_test(slice_exchange RANKS 1 2 3 4 TORCH LINK tributary_optim)
if(TRIBUTARY_CUDA)
  add_mpi_test(gpu_slice_exchange RANKS 1 2 4 TORCH LINK tributary_optim)
  foreach(ranks IN ITEMS 1 2 4)
    # Where the ranks outnumber the GPUs they share them.
    set_tests_properties(mpi.gpu_slice_exchange.${ranks} PROPERTIES LABELS "mpi;gpu" ENVIRONMENT "${test_environment};NCCL_MULTI_RANK_GPU_ENABLE=1")
  endforeach()
endif()
