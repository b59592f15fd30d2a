"""How well a system hears: recognisers, detectors and endpointing, on clips with transcripts. `./antiphon bench ears`.

`clips` reads a folder, `making` fills one with made speech, `sessions` plays it through real sessions in real time,
`scoring` (pure) compares what they did with what is true, `figures` makes rows of it, `main` runs it all.
"""
