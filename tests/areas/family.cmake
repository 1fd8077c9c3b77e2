add_script_test(golden.lm_hhda golden/peer_lm_hhda.py PROCESSORS 1 LABELS peers)
