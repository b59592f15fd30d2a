"""`antiphon chat`: the ways to talk from a terminal."""
