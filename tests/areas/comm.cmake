add_mpi_test(communicator RANKS 1 2 3 4 LINK tributary_comm)
add_mpi_test(progress_thread RANKS 2 LINK tributary_comm)
