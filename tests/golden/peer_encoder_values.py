"""The stored golden values of the encoder are what encoder.py computes with transformers."""

import sys

import encoder

sys.argv = ["encoder.py", "--check"]
encoder.main()
