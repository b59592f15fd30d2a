"""Piper voices as a speech engine; `engine.py` is the adapter. piper-tts is imported only when a model loads."""
