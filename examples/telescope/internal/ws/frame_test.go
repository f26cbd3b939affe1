package ws

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"testing"
)

// served is a frame as a server sends it: not masked.
func served(head byte, payload []byte) []byte {
	b := []byte{head}
	switch n := len(payload); {
	case n < length16:
		b = append(b, byte(n))
	case n <= 0xFFFF:
		b = binary.BigEndian.AppendUint16(append(b, length16), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, length64), uint64(n))
	}
	return append(b, payload...)
}

func TestAFrameIsMaskedAsInTheRFC(t *testing.T) {
	got := appendFrame(nil, opText, []byte("Hello"), [4]byte{0x37, 0xfa, 0x21, 0x3d})
	want := []byte{0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58}
	if !bytes.Equal(got, want) {
		t.Errorf("got % x, want % x", got, want)
	}
}

func TestEveryLengthIsReadAndWrittenInItsShortestForm(t *testing.T) {
	for _, n := range []int{0, 1, 125, 126, 127, 65_535, 65_536, 100_000} {
		payload := bytes.Repeat([]byte{'x'}, n)
		f, err := readFrame(bufio.NewReader(bytes.NewReader(served(0x81, payload))), 1<<20)
		if err != nil || !f.fin || f.opcode != opText || !bytes.Equal(f.payload, payload) {
			t.Errorf("%d bytes: %v", n, err)
		}
		head := len(appendFrame(nil, opText, payload, [4]byte{})) - n - 4
		if head != len(served(0x81, payload))-n {
			t.Errorf("%d bytes: a head of %d", n, head)
		}
	}
}

func TestWhatNoServerMaySendIsRefused(t *testing.T) {
	for name, c := range map[string]struct {
		bytes []byte
		code  int
	}{
		"a reserved bit":                {[]byte{0xC1, 0}, ProtocolError},
		"a masked frame":                {[]byte{0x81, 0x80, 0, 0, 0, 0}, ProtocolError},
		"an unknown opcode":             {[]byte{0x83, 0}, ProtocolError},
		"an unknown control opcode":     {[]byte{0x8B, 0}, ProtocolError},
		"a fragmented ping":             {[]byte{0x09, 0}, ProtocolError},
		"a long ping":                   {served(0x89, make([]byte, 126)), ProtocolError},
		"5 in sixteen bits":             {[]byte{0x81, length16, 0, 5}, ProtocolError},
		"5 in sixty-four bits":          {[]byte{0x81, length64, 0, 0, 0, 0, 0, 0, 0, 5}, ProtocolError},
		"a negative length":             {[]byte{0x81, length64, 0x80, 0, 0, 0, 0, 1, 0, 0}, ProtocolError},
		"more than the limit":           {served(0x81, make([]byte, 101)), TooBig},
		"a huge one, before it is read": {[]byte{0x81, length64, 0, 0, 0x7F, 0, 0, 0, 0, 0}, TooBig},
	} {
		_, err := readFrame(bufio.NewReader(bytes.NewReader(c.bytes)), 100)
		var breach *violation
		if !errors.As(err, &breach) || breach.code != c.code {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestHalfAFrameIsAnEnd(t *testing.T) {
	whole := served(0x81, make([]byte, 300))
	for n := 0; n < len(whole); n += 7 {
		_, err := readFrame(bufio.NewReader(bytes.NewReader(whole[:n])), 1000)
		if !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("after %d bytes: %v", n, err)
		}
	}
}

func TestClosePayloads(t *testing.T) {
	for _, c := range []struct {
		payload []byte
		want    string
	}{
		{nil, "1005 "},
		{closePayload(4401, "token_expired"), "4401 token_expired"},
		{closePayload(1012, ""), "1012 "},
		{[]byte{3}, "refused"},
		{[]byte{3, 237}, "refused"},           // 1005
		{[]byte{3, 238}, "refused"},           // 1006
		{[]byte{0, 1}, "refused"},             // 1
		{[]byte{0x13, 0x88}, "refused"},       // 5000
		{[]byte{0x03, 0xE8, 0xFF}, "refused"}, // not UTF-8
		{closePayload(1000, "naïve"), "1000 naïve"},
	} {
		got := "refused"
		if closed, err := parseClose(c.payload); err == nil {
			got = fmt.Sprintf("%d %s", closed.Code, closed.Reason)
		}
		if got != c.want {
			t.Errorf("% x: %s, want %s", c.payload, got, c.want)
		}
	}
	long := closePayload(1000, string(bytes.Repeat([]byte("é"), 100)))
	if _, err := parseClose(long); err != nil || len(long) > maxControl {
		t.Errorf("a long reason: %d bytes, %v", len(long), err)
	}
}
