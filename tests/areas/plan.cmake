add_mpi_test(lone_work RANKS 1 3 LINK tributary_comm)
add_script_test(train.plan_says_what_a_step_will_be train/plan_command.py PROCESSORS 1)
