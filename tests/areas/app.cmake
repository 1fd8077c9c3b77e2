add_mpi_test(agree RANKS 1 2 3 LINK tributary_comm)
add_script_test(app.command_line app/command_line.py PROCESSORS 1)
