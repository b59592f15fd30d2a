// Speaks a WAV file to Antiphon over gRPC, prints what is said, and keeps the reply's sound.
//
//	./generate.sh
//	go run . 127.0.0.1:50060 question.wav reply.wav
package main

import (
	"context"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"

	pb "antiphon.example/talk/antiphonv1"
)

const (
	outputRate      = 24_000
	framesASecond   = 50
	interruptAfterS = 0.5
)

// talk is one question and its answer.
type talk struct {
	stream     pb.Conversation_ConverseClient
	sending    sync.Mutex // a stream takes one message at a time
	interrupts bool
	turn       uint32 // the reply that answers us
	audio      []byte
	answered   bool
}

func main() {
	interrupt := flag.Bool("interrupt", false, "interrupt the reply once, after half a second of it")
	var phrases []string
	flag.Func("phrase", "what is likely to be said; may be repeated", func(text string) error {
		phrases = append(phrases, text)
		return nil
	})
	flag.Usage = func() {
		fmt.Fprintln(os.Stderr, "usage: talk [--interrupt] [--phrase TEXT] HOST:PORT QUESTION.wav REPLY.wav")
		flag.PrintDefaults()
	}
	flag.Parse()
	if flag.NArg() != 3 {
		flag.Usage()
		os.Exit(2)
	}
	if err := run(flag.Arg(0), flag.Arg(1), flag.Arg(2), *interrupt, phrases); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(address, question, reply string, interrupt bool, phrases []string) error {
	pcm, rate, err := readWAV(question)
	if err != nil {
		return err
	}
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer conn.Close()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	if key := os.Getenv("ANTIPHON_KEY"); key != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+key)
	}
	stream, err := pb.NewConversationClient(conn).Converse(ctx)
	if err != nil {
		return err
	}
	t := &talk{stream: stream, interrupts: interrupt}
	inputRate, wanted := rate, uint32(outputRate)
	t.send(&pb.ConverseRequest{Message: &pb.ConverseRequest_SessionStart{SessionStart: &pb.SessionStart{
		InputRate:  &inputRate,
		OutputRate: &wanted,
		Greeting:   &pb.Greeting{Value: &pb.Greeting_On{On: false}},
		Phrases:    phrases,
	}}})
	for {
		response, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		if response.GetSessionStarted() != nil {
			go t.speak(ctx, pcm, rate)
			continue
		}
		t.take(response)
	}
	if len(t.audio) > 0 {
		if err := writeWAV(reply, t.audio, outputRate); err != nil {
			return err
		}
	}
	if !t.answered {
		return errors.New("there was no answer")
	}
	return nil
}

// send leaves a failure to Recv, which says why.
func (t *talk) send(request *pb.ConverseRequest) {
	t.sending.Lock()
	defer t.sending.Unlock()
	_ = t.stream.Send(request)
}

// speak sends as a microphone would: 20 ms every 20 ms.
func (t *talk) speak(ctx context.Context, pcm []byte, rate uint32) {
	size := 2 * int(rate/framesASecond)
	tick := time.NewTicker(time.Second / framesASecond)
	defer tick.Stop()
	for at := 0; at < len(pcm); at += size {
		frame := make([]byte, size)
		copy(frame, pcm[at:])
		t.send(&pb.ConverseRequest{Message: &pb.ConverseRequest_Audio{Audio: &pb.AudioInput{Data: frame}}})
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
	released := &pb.InputState{State: pb.MicrophoneState_MICROPHONE_STATE_RELEASED}
	t.send(&pb.ConverseRequest{Message: &pb.ConverseRequest_Input{Input: released}})
}

func (t *talk) take(response *pb.ConverseResponse) {
	switch message := response.Message.(type) {
	case *pb.ConverseResponse_Transcript:
		mark := "…"
		if message.Transcript.Final {
			mark = ">"
		}
		fmt.Printf("you%s %s\n", mark, message.Transcript.Text)
	case *pb.ConverseResponse_TurnEnded:
		t.turn = message.TurnEnded.Turn
	case *pb.ConverseResponse_Reply:
		fmt.Printf("antiphon> %s\n", message.Reply.Text)
	case *pb.ConverseResponse_Audio:
		if message.Audio.Turn == t.turn {
			t.hear(message.Audio)
		}
	case *pb.ConverseResponse_TurnFinished:
		if finished := message.TurnFinished; finished.Turn == t.turn {
			fmt.Printf("heard: %q, unheard: %q (%s)\n", finished.Heard, finished.Unheard, finished.Reason)
			t.answered = true
			t.end()
		}
	case *pb.ConverseResponse_Notice:
		fmt.Fprintln(os.Stderr, message.Notice.Message)
		if message.Notice.Code == "no_words" {
			t.end()
		}
	case *pb.ConverseResponse_Error:
		fmt.Fprintf(os.Stderr, "%s: %s\n", message.Error.Code, message.Error.Message)
	}
}

// hear: a file has no loudspeaker; it has heard what it has got.
func (t *talk) hear(audio *pb.AudioOutput) {
	t.audio = append(t.audio, audio.Data...)
	samples := audio.Sample + uint64(len(audio.Data)/2)
	played := &pb.Played{Turn: audio.Turn, Samples: samples}
	t.send(&pb.ConverseRequest{Message: &pb.ConverseRequest_Played{Played: played}})
	if t.interrupts && float64(samples) >= interruptAfterS*outputRate {
		t.interrupts = false
		t.send(&pb.ConverseRequest{Message: &pb.ConverseRequest_Interrupt{Interrupt: &pb.Interrupt{}}})
	}
}

func (t *talk) end() {
	t.send(&pb.ConverseRequest{Message: &pb.ConverseRequest_SessionEnd{SessionEnd: &pb.SessionEnd{}}})
}

func readWAV(path string) (pcm []byte, rate uint32, err error) {
	file, err := os.ReadFile(path)
	if err != nil {
		return nil, 0, err
	}
	for at := 12; at+8 <= len(file); {
		name := string(file[at : at+4])
		size := int(binary.LittleEndian.Uint32(file[at+4:]))
		chunk := file[at+8 : min(at+8+size, len(file))]
		switch {
		case name == "fmt " && size >= 16:
			if binary.LittleEndian.Uint16(chunk[2:]) != 1 || binary.LittleEndian.Uint16(chunk[14:]) != 16 {
				return nil, 0, fmt.Errorf("%s is not mono with 16 bits", path)
			}
			rate = binary.LittleEndian.Uint32(chunk[4:])
		case name == "data" && rate > 0:
			return chunk, rate, nil
		}
		at += 8 + size + size%2
	}
	return nil, 0, fmt.Errorf("%s is no WAV file", path)
}

func writeWAV(path string, pcm []byte, rate uint32) error {
	head := make([]byte, 0, 44)
	head = append(head, "RIFF"...)
	head = binary.LittleEndian.AppendUint32(head, uint32(36+len(pcm)))
	head = append(head, "WAVEfmt "...)
	head = binary.LittleEndian.AppendUint32(head, 16)
	head = binary.LittleEndian.AppendUint16(head, 1) // PCM
	head = binary.LittleEndian.AppendUint16(head, 1) // mono
	head = binary.LittleEndian.AppendUint32(head, rate)
	head = binary.LittleEndian.AppendUint32(head, 2*rate)
	head = binary.LittleEndian.AppendUint16(head, 2)
	head = binary.LittleEndian.AppendUint16(head, 16)
	head = append(head, "data"...)
	head = binary.LittleEndian.AppendUint32(head, uint32(len(pcm)))
	return os.WriteFile(path, append(head, pcm...), 0o644)
}
