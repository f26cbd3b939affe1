package ws

import (
	"bufio"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"io"
)

type opcode byte

const (
	opContinuation opcode = 0x0
	opText         opcode = 0x1
	opBinary       opcode = 0x2
	opClose        opcode = 0x8
	opPing         opcode = 0x9
	opPong         opcode = 0xA
)

func (o opcode) isControl() bool { return o >= opClose }

const (
	finBit     = 0x80
	rsvBits    = 0x70
	maskBit    = 0x80
	length16   = 126
	length64   = 127
	maxControl = 125
)

type frame struct {
	fin     bool
	opcode  opcode
	payload []byte
}

// violation is a breach of RFC 6455 by the other side, with the close code to answer it with.
type violation struct {
	code   int
	reason string
}

func (v *violation) Error() string { return v.reason }

func protocolError(format string, args ...any) error {
	return &violation{ProtocolError, fmt.Sprintf(format, args...)}
}

// readFrame reads one frame of a server. A payload of more than limit bytes is refused before it is read.
func readFrame(r *bufio.Reader, limit int) (frame, error) {
	var head [2]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return frame{}, err
	}
	f := frame{fin: head[0]&finBit != 0, opcode: opcode(head[0] & 0x0F)}
	if head[0]&rsvBits != 0 {
		return frame{}, protocolError("reserved bits are set, but no extension was agreed to")
	}
	if head[1]&maskBit != 0 {
		return frame{}, protocolError("a frame of the server is masked")
	}
	switch f.opcode {
	case opContinuation, opText, opBinary, opClose, opPing, opPong:
	default:
		return frame{}, protocolError("opcode %#x is not defined", byte(f.opcode))
	}
	length, err := readLength(r, head[1]&^maskBit)
	if err != nil {
		return frame{}, err
	}
	if f.opcode.isControl() && (!f.fin || length > maxControl) {
		return frame{}, protocolError("a control frame is fragmented or too long")
	}
	if length > uint64(limit) {
		return frame{}, &violation{TooBig, fmt.Sprintf("a message is larger than %d bytes", limit)}
	}
	f.payload = make([]byte, length)
	_, err = io.ReadFull(r, f.payload)
	return f, err
}

// readLength reads what follows the seven bits of a length, and insists on the shortest form.
func readLength(r *bufio.Reader, short byte) (uint64, error) {
	switch short {
	case length16:
		var b [2]byte
		if _, err := io.ReadFull(r, b[:]); err != nil {
			return 0, err
		}
		length := uint64(binary.BigEndian.Uint16(b[:]))
		if length < length16 {
			return 0, protocolError("a length is not in its shortest form")
		}
		return length, nil
	case length64:
		var b [8]byte
		if _, err := io.ReadFull(r, b[:]); err != nil {
			return 0, err
		}
		length := binary.BigEndian.Uint64(b[:])
		if length <= 0xFFFF || length>>63 != 0 {
			return 0, protocolError("a length is not in its shortest form")
		}
		return length, nil
	}
	return uint64(short), nil
}

// appendFrame appends one unfragmented frame of a client, masked with the key.
func appendFrame(to []byte, op opcode, payload []byte, key [4]byte) []byte {
	to = append(to, finBit|byte(op))
	switch n := len(payload); {
	case n < length16:
		to = append(to, maskBit|byte(n))
	case n <= 0xFFFF:
		to = append(to, maskBit|length16)
		to = binary.BigEndian.AppendUint16(to, uint16(n))
	default:
		to = append(to, maskBit|length64)
		to = binary.BigEndian.AppendUint64(to, uint64(n))
	}
	to = append(to, key[:]...)
	start := len(to)
	to = append(to, payload...)
	mask(to[start:], key)
	return to
}

// mask masks and unmasks.
func mask(b []byte, key [4]byte) {
	for i := range b {
		b[i] ^= key[i&3]
	}
}

func newKey() (key [4]byte, err error) {
	_, err = rand.Read(key[:])
	return key, err
}
