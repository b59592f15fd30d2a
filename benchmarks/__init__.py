"""What Antiphon promises in figures, measured: `./antiphon bench`. One module a benchmark; `suite.py` lists them.

Nothing here is imported by the product. Services run as processes of their own; whoever plays the users is another.
"""
