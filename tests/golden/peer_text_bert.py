"""The stored golden values of text_bert are what text_bert.py computes; its encoder is the one that peer_lm_hhda.py holds to BertModel."""

import sys

import text_bert

sys.argv = ["text_bert.py", "--check"]
text_bert.main()
