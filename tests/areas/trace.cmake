add_mpi_test(clock_offset RANKS 1 3 LINK tributary_comm)
add_script_test(train.trace_shows_what_each_rank_did_when train/step_trace.py PROCESSORS 4)
