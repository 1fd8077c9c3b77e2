add_mpi_test(exact_training RANKS 1 2 3 4 TORCH LINK tributary_optim)
