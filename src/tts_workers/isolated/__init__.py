"""A model in a process of its own, for engines whose memory comes back only with their process or whose loads hang."""
