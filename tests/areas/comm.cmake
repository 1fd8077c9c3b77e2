add_mpi_test(communicator RANKS 1 2 3 4 LINK tributary_comm)
