"""The LiveKit transport: one room, one agent, one conversation. `room.serve_room` is all that others call.

    room.py         joins, joins again, leaves
    attendance.py   PURE: who is the user, when a session is opened, given up, taken up again
    connection.py   one connection to the room: its track, its events
    frames.py       a track's frames, from LiveKit's library
    visit.py        one stretch of the user's presence: reads, writes, speaks until it is over
    transport.py    the port's Transport
    playout.py      PURE: what the AudioSource was given, where its listener is, what to go on with
    sink.py         the AudioSource, and what stands in for it in memory
    microphone.py   the user's track;  media_time.py  PURE: which sample a frame begins at
    line.py         docs/protocol.md's messages as data packets
    captions.py     PURE: what `lk.transcription` is to say;  captioner.py  says it

Only connection.py, and what it alone imports, loads LiveKit's SDK: LiveKit is optional.
"""
