package main

import (
	"bufio"
	"encoding/binary"
	"io"
	"math"
	"os"
	"sync"
)

// Messages go both ways over the pipes as a size, a kind, a user's number and a payload; little-endian, and the size is
// the payload's. benchmarks/rooms/crew.py has the other end.

const (
	// from Python
	cmdJoin  = 'J' // {"url", "token", "phase_s", "coarse"}
	cmdRoom  = 'R' // PCM that the microphone hears over and over
	cmdSay   = 'S' // uint32 offset in samples, PCM
	cmdWrite = 'W' // a message of the protocol
	cmdLeave = 'L'
	// to Python
	evJoined = 'j' // float64 when joining began, float64 when it had joined
	evTrack  = 't' // float64: somebody's audio is there
	evData   = 'd' // a message of the protocol
	evBegun  = 'b' // float64 when its first sample was at the microphone
	evHeard  = 'h' // float64 when it sounds, PCM
	evPlayed = 'p' // uint32 samples of packets in which something was audible
	evLate   = 'l' // float32 seconds, one a frame
	evGone   = 'x' // why
)

const (
	header = 7
	most   = 1 << 24
)

type Message struct {
	kind    byte
	user    uint16
	payload []byte
}

func read(in *bufio.Reader) (Message, error) {
	var head [header]byte
	if _, err := io.ReadFull(in, head[:]); err != nil {
		return Message{}, err
	}
	size := binary.LittleEndian.Uint32(head[:])
	if size > most {
		return Message{}, io.ErrUnexpectedEOF
	}
	payload := make([]byte, size)
	_, err := io.ReadFull(in, payload)
	return Message{head[4], binary.LittleEndian.Uint16(head[5:]), payload}, err
}

var writing sync.Mutex

// tell writes one message at once. Who does not read it any more has ended, and so do we.
func tell(kind byte, user uint16, payload ...[]byte) {
	size := 0
	for _, part := range payload {
		size += len(part)
	}
	message := make([]byte, header, header+size)
	binary.LittleEndian.PutUint32(message, uint32(size))
	message[4] = kind
	binary.LittleEndian.PutUint16(message[5:], user)
	for _, part := range payload {
		message = append(message, part...)
	}
	writing.Lock()
	defer writing.Unlock()
	if _, err := os.Stdout.Write(message); err != nil {
		os.Exit(1)
	}
}

func seconds(values ...float64) []byte {
	out := make([]byte, 0, 8*len(values))
	for _, value := range values {
		out = binary.LittleEndian.AppendUint64(out, math.Float64bits(value))
	}
	return out
}
