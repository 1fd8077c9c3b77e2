add_mpi_test(documents RANKS 1 2 3 4 LINK tributary_ingest)
add_script_test(ingest.documents_equal_their_source ingest/documents_equal_their_source.py PROCESSORS 2)
add_script_test(ingest.dictionary_finds_mentions_of_bc5cdr ingest/dictionary_on_bc5cdr.py PROCESSORS 1)
