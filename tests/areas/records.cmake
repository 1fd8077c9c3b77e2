add_mpi_test(documents RANKS 1 2 3 4 LINK tributary_ingest)
add_script_test(ingest.documents_equal_their_source ingest/documents_equal_their_source.py PROCESSORS 2)
