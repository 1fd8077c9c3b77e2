add_mpi_test(slice_exchange RANKS 1 2 3 4 TORCH LINK tributary_train)
