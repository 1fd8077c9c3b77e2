add_mpi_test(exact_training RANKS 1 2 3 4 TORCH LINK tributary_optim)
add_mpi_test(watchdog RANKS 1 3 LINK tributary_comm)
add_script_test(train.equal_bits_on_1_to_4_ranks fault/train_exactness.py PROCESSORS 4)
add_script_test(train.survives_kill_signal_time_limit_and_hang fault/train_faults.py PROCESSORS 3)
