"""Speech from a TTS worker, for who wants no conversation."""
