"""The stored golden values of tokens mode are what lm_hhda_tokens.py computes; its encoder is the one that peer_lm_hhda.py holds to BertModel."""

import sys

import lm_hhda_tokens

sys.argv = ["lm_hhda_tokens.py", "--check"]
lm_hhda_tokens.main()
