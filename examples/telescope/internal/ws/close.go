package ws

import (
	"encoding/binary"
	"fmt"
	"unicode/utf8"
)

// Close codes of RFC 6455 that this package sends or makes up.
const (
	Normal         = 1000
	ProtocolError  = 1002
	Unsupported    = 1003
	NoCode         = 1005 // the other side gave none
	Lost           = 1006 // there was no close frame at all
	InvalidPayload = 1007
	TooBig         = 1009
)

// Closed is how a connection ended.
type Closed struct {
	Code   int
	Reason string
	Err    error // what was seen on this side, if it was that
}

func (c *Closed) Error() string {
	text := fmt.Sprintf("closed with %d", c.Code)
	if c.Reason != "" {
		text += " " + c.Reason
	}
	if c.Err != nil {
		text += ": " + c.Err.Error()
	}
	return text
}

func (c *Closed) Unwrap() error { return c.Err }

// parseClose reads the payload of a close frame.
func parseClose(payload []byte) (*Closed, error) {
	if len(payload) == 0 {
		return &Closed{Code: NoCode}, nil
	}
	if len(payload) == 1 {
		return nil, protocolError("a close code has one byte")
	}
	code, reason := int(binary.BigEndian.Uint16(payload)), payload[2:]
	if !mayBeSent(code) {
		return nil, protocolError("close code %d must not be sent", code)
	}
	if !utf8.Valid(reason) {
		return nil, &violation{InvalidPayload, "the reason of a close is not UTF-8"}
	}
	return &Closed{Code: code, Reason: string(reason)}, nil
}

func mayBeSent(code int) bool {
	switch {
	case code >= 3000 && code <= 4999:
		return true
	case code >= 1000 && code <= 1014:
		return code != 1004 && code != NoCode && code != Lost
	}
	return false
}

// closePayload is what a close frame carries; a reason that is too long is cut.
func closePayload(code int, reason string) []byte {
	if code == NoCode {
		return nil
	}
	for len(reason) > maxControl-2 {
		_, size := utf8.DecodeLastRuneInString(reason)
		reason = reason[:len(reason)-size]
	}
	return append(binary.BigEndian.AppendUint16(nil, uint16(code)), reason...)
}
