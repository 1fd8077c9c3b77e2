add_mpi_test(exact_training RANKS 1 2 3 4 TORCH LINK tributary_optim)
add_mpi_test(watchdog RANKS 1 3 LINK tributary_comm)
