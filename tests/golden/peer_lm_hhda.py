"""The stored golden values are what lm_hhda.py computes, whose encoder equals the BertModel of transformers."""

import sys

import lm_hhda

sys.argv = ["lm_hhda.py", "--check"]
lm_hhda.main()
