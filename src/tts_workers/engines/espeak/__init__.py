"""espeak-ng as a speech engine; `engine.py` is the adapter."""
