add_mpi_test(checkpoint RANKS 1 2 3 4 TORCH LINK tributary_checkpoint)
add_script_test(checkpoint.python_reader checkpoint/python_reader.py ARGS $<TARGET_FILE:mpi_checkpoint> ${MPIEXEC})
