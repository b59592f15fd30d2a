package main

// libopus, by what of it is used: its headers are a package of their own, which need not be there.

/*
#cgo LDFLAGS: -l:libopus.so.0
#include <stdint.h>

typedef struct OpusEncoder OpusEncoder;
typedef struct OpusDecoder OpusDecoder;
OpusEncoder *opus_encoder_create(int32_t rate, int channels, int application, int *error);
OpusDecoder *opus_decoder_create(int32_t rate, int channels, int *error);
int32_t opus_encode(OpusEncoder *, const int16_t *pcm, int samples, unsigned char *data, int32_t most);
int opus_decode(OpusDecoder *, const unsigned char *data, int32_t size, int16_t *pcm, int samples, int fec);
void opus_encoder_destroy(OpusEncoder *);
void opus_decoder_destroy(OpusDecoder *);
*/
import "C"

import (
	"fmt"
	"unsafe"
)

const (
	micRate   = 16000
	micFrame  = micRate / 50
	rate      = 48000
	voip      = 2048
	mostBytes = 1500
	longest   = rate / 1000 * 120
)

// Encoder of 16 kHz mono. One goroutine's.
type Encoder struct {
	c    *C.OpusEncoder
	data [mostBytes]byte
}

func newEncoder() (*Encoder, error) {
	var code C.int
	c := C.opus_encoder_create(micRate, 1, voip, &code)
	if code != 0 {
		return nil, fmt.Errorf("opus_encoder_create: %d", code)
	}
	return &Encoder{c: c}, nil
}

// encode gives the packet of a frame of 20 ms, which is good until the next.
func (e *Encoder) encode(pcm []int16) ([]byte, error) {
	size := C.opus_encode(e.c, (*C.int16_t)(&pcm[0]), C.int(len(pcm)), (*C.uchar)(&e.data[0]), mostBytes)
	if size < 0 {
		return nil, fmt.Errorf("opus_encode: %d", size)
	}
	return e.data[:size], nil
}

func (e *Encoder) close() { C.opus_encoder_destroy(e.c) }

// Decoder to 48 kHz mono. One goroutine's.
type Decoder struct {
	c   *C.OpusDecoder
	pcm [longest]int16
}

func newDecoder() (*Decoder, error) {
	var code C.int
	c := C.opus_decoder_create(rate, 1, &code)
	if code != 0 {
		return nil, fmt.Errorf("opus_decoder_create: %d", code)
	}
	return &Decoder{c: c}, nil
}

// decode gives a packet's samples, s16le, which are good until the next.
func (d *Decoder) decode(data []byte) ([]byte, error) {
	samples := C.opus_decode(d.c, (*C.uchar)(&data[0]), C.int32_t(len(data)), (*C.int16_t)(&d.pcm[0]), longest, 0)
	if samples < 0 {
		return nil, fmt.Errorf("opus_decode: %d", samples)
	}
	return unsafe.Slice((*byte)(unsafe.Pointer(&d.pcm[0])), 2*samples), nil
}

func (d *Decoder) close() { C.opus_decoder_destroy(d.c) }
