// Users in LiveKit rooms: a microphone and a loudspeaker each, on time. What they say and when, and what came of it, is
// the business of benchmarks/rooms/crew.py, whose child this is.
//
// The microphone sends a packet of 20 ms when its last sample was heard, by a clock of its own. The loudspeaker has no
// jitter buffer: a packet sounds when it came, or after the one before it; where none came there is silence. So what a
// sound takes there and back, and what a word takes to silence, are told the same way, each less what a buffer would add.
package main

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"io"
	"math"
	"os"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"github.com/livekit/protocol/livekit"
	"github.com/livekit/protocol/logger"
	lksdk "github.com/livekit/server-sdk-go/v2"
	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"
	"golang.org/x/sys/unix"
)

const (
	topic   = "antiphon"
	frame   = 20 * time.Millisecond
	audible = 327 // as benchmarks/sound.py
	missing = 1.5 // frames without a packet until there is silence
	batch   = 50  // latenesses a message
)

// now is Python's time.monotonic.
func now() float64 {
	var t unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &t)
	return float64(t.Sec) + float64(t.Nsec)/1e9
}

type Join struct {
	URL    string  `json:"url"`
	Token  string  `json:"token"`
	PhaseS float64 `json:"phase_s"`
	// Nothing is told of what is heard but how much it was.
	Coarse bool `json:"coarse"`
}

type Word struct {
	offset int
	pcm    []int16
}

type User struct {
	number uint16
	join   Join
	room   *lksdk.Room
	over   chan struct{}
	once   sync.Once

	lock  sync.Mutex
	noise []int16
	said  []Word
}

func main() {
	lksdk.SetLogger(logger.LogRLogger(logr.Discard()))
	users := map[uint16]*User{}
	in := bufio.NewReader(os.Stdin)
	for {
		message, err := read(in)
		if err != nil {
			for _, user := range users {
				user.leave()
			}
			return
		}
		user := users[message.user]
		if user == nil {
			user = &User{number: message.user, over: make(chan struct{}), noise: make([]int16, micFrame)}
			users[message.user] = user
		}
		switch message.kind {
		case cmdJoin:
			if err := json.Unmarshal(message.payload, &user.join); err != nil {
				user.gone(err.Error())
				continue
			}
			go user.run()
		case cmdRoom:
			user.lock.Lock()
			user.noise = samples(message.payload)
			user.lock.Unlock()
		case cmdSay:
			offset := int(binary.LittleEndian.Uint32(message.payload))
			user.lock.Lock()
			user.said = append(user.said, Word{offset, samples(message.payload[4:])})
			user.lock.Unlock()
		case cmdWrite:
			user.write(message.payload)
		case cmdLeave:
			user.leave()
			delete(users, message.user)
		}
	}
}

func (u *User) run() {
	asked := now()
	callback := lksdk.NewRoomCallback()
	callback.OnTrackSubscribed = func(track *webrtc.TrackRemote, _ *lksdk.RemoteTrackPublication, _ *lksdk.RemoteParticipant) {
		if track.Kind() == webrtc.RTPCodecTypeAudio {
			tell(evTrack, u.number, seconds(now()))
			go u.hear(track)
		}
	}
	callback.OnDataPacket = func(packet lksdk.DataPacket, _ lksdk.DataReceiveParams) {
		if data, ok := packet.(*lksdk.UserDataPacket); ok && data.Topic == topic {
			tell(evData, u.number, data.Payload)
		}
	}
	callback.OnDisconnectedWithReason = func(reason lksdk.DisconnectionReason) { u.gone(string(reason)) }
	room, err := lksdk.ConnectToRoomWithToken(u.join.URL, u.join.Token, callback)
	if err != nil {
		u.gone(err.Error())
		return
	}
	joined := now()
	u.lock.Lock()
	u.room = room
	u.lock.Unlock()
	track, err := lksdk.NewLocalTrack(webrtc.RTPCodecCapability{
		MimeType: webrtc.MimeTypeOpus, ClockRate: rate, Channels: 2, SDPFmtpLine: "minptime=10;useinbandfec=1",
	})
	if err == nil {
		_, err = room.LocalParticipant.PublishTrack(track, &lksdk.TrackPublicationOptions{
			Name: "microphone", Source: livekit.TrackSource_MICROPHONE, DisableDTX: true,
		})
	}
	if err != nil {
		u.gone(err.Error())
		return
	}
	tell(evJoined, u.number, seconds(asked, joined))
	u.speak(track)
}

func (u *User) write(payload []byte) {
	u.lock.Lock()
	room := u.room
	u.lock.Unlock()
	if room == nil {
		return
	}
	err := room.LocalParticipant.PublishDataPacket(
		lksdk.UserData(payload), lksdk.WithDataPublishTopic(topic), lksdk.WithDataPublishReliable(true),
	)
	if err != nil {
		u.gone(err.Error())
	}
}

func (u *User) gone(why string) {
	u.once.Do(func() { close(u.over); tell(evGone, u.number, []byte(why)) })
}

func (u *User) leave() {
	u.once.Do(func() { close(u.over) })
	u.lock.Lock()
	room := u.room
	u.lock.Unlock()
	if room != nil {
		room.Disconnect()
	}
}

// --- the microphone --------------------------------------------------------------------------------------------------

// speak sends a frame when it is due, which is 20 ms after the one before, however late that was.
func (u *User) speak(track *lksdk.LocalTrack) {
	encoder, err := newEncoder()
	if err != nil {
		u.gone(err.Error())
		return
	}
	defer encoder.close()
	due := now() + u.join.PhaseS
	var tail []int16
	late := make([]byte, 0, 4*batch)
	for number := 0; ; number++ {
		due += frame.Seconds()
		select {
		case <-u.over:
			return
		case <-time.After(time.Duration((due - now()) * float64(time.Second))):
		}
		var pcm []int16
		pcm, tail = u.frame(number, tail, due)
		packet, err := encoder.encode(pcm)
		if err == nil {
			err = track.WriteRTP(&rtp.Packet{
				Header:  rtp.Header{Version: 2, SequenceNumber: uint16(number), Timestamp: uint32(number) * rate / 50},
				Payload: packet,
			}, nil)
		}
		if err != nil && err != io.ErrClosedPipe {
			u.gone(err.Error())
			return
		}
		late = binary.LittleEndian.AppendUint32(late, math.Float32bits(float32(now()-due)))
		if len(late) == cap(late) {
			tell(evLate, u.number, late)
			late = late[:0]
		}
	}
}

// frame is what was heard in the 20 ms until `due`: what is said, else the room. Also what of it is for the next.
func (u *User) frame(number int, pcm []int16, due float64) (out, tail []int16) {
	u.lock.Lock()
	defer u.lock.Unlock()
	for len(pcm) < micFrame && len(u.said) > 0 {
		word := u.said[0]
		u.said = u.said[1:]
		pcm = append(append([]int16{}, pcm...), make([]int16, word.offset)...)
		tell(evBegun, u.number, seconds(due-frame.Seconds()+float64(len(pcm))/micRate))
		pcm = append(pcm, word.pcm...)
	}
	if len(pcm) >= micFrame {
		return pcm[:micFrame], pcm[micFrame:]
	}
	at := number * micFrame % len(u.noise)
	return append(append([]int16{}, pcm...), u.noise[at+len(pcm):at+micFrame]...), nil
}

// --- the loudspeaker -------------------------------------------------------------------------------------------------

func (u *User) hear(track *webrtc.TrackRemote) {
	packets := make(chan arrival, 100)
	go func() {
		defer close(packets)
		for {
			packet, _, err := track.ReadRTP()
			if err != nil {
				return
			}
			packets <- arrival{now(), packet.Payload}
		}
	}()
	decoder, err := newDecoder()
	if err != nil {
		u.gone(err.Error())
		return
	}
	defer decoder.close()
	silence := make([]byte, 2*rate/50)
	timer := time.NewTicker(frame)
	defer timer.Stop()
	ends := 0.0 // of what was heard last
	for {
		select {
		case packet, more := <-packets:
			if !more {
				return
			}
			if len(packet.data) == 0 {
				continue
			}
			pcm, err := decoder.decode(packet.data)
			if err != nil {
				u.gone(err.Error())
				return
			}
			at := packet.at
			if sounds(pcm) {
				at = max(at, ends)
				if u.join.Coarse {
					tell(evPlayed, u.number, binary.LittleEndian.AppendUint32(nil, uint32(len(pcm)/2)))
				}
			}
			u.heard(at, pcm)
			ends = at + float64(len(pcm)/2)/rate
		case <-timer.C:
			if at := now(); ends > 0 && at-ends > (missing-1)*frame.Seconds() {
				u.heard(at, silence)
			}
		}
	}
}

type arrival struct {
	at   float64
	data []byte
}

func (u *User) heard(at float64, pcm []byte) {
	if !u.join.Coarse {
		tell(evHeard, u.number, seconds(at), pcm)
	}
}

func sounds(pcm []byte) bool {
	for at := 0; at+1 < len(pcm); at += 2 {
		if value := int(int16(binary.LittleEndian.Uint16(pcm[at:]))); value >= audible || value <= -audible {
			return true
		}
	}
	return false
}

func samples(pcm []byte) []int16 {
	out := make([]int16, len(pcm)/2)
	for at := range out {
		out[at] = int16(binary.LittleEndian.Uint16(pcm[2*at:]))
	}
	return out
}
