add_mpi_test(synth RANKS 1 2 3 4 LINK tributary_ingest)
add_script_test(ingest.synth_needs_every_modality ingest/synth_needs_every_modality.py PROCESSORS 1)
add_script_test(ingest.retokenize_replaces_the_tokens_alone ingest/retokenize_replaces_the_tokens_alone.py PROCESSORS 1)
