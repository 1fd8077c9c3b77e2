add_mpi_test(recipe_inputs RANKS 1 LINK tributary_ingest)
add_mpi_test(recipes RANKS 1 2 3 4 LINK tributary_ingest)
