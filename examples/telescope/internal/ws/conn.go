// Package ws is the client's half of RFC 6455: text messages, no extensions.
//
// One goroutine reads; any may write. Pings are answered, fragments joined, a close is echoed, and messages are
// bounded in size. Whatever ends a connection comes out of Read as *Closed.
package ws

import (
	"bufio"
	"errors"
	"net"
	"sync"
	"time"
	"unicode/utf8"
)

const (
	writePatience = 10 * time.Second
	closePatience = 3 * time.Second
)

// Conn is an open WebSocket.
type Conn struct {
	raw    net.Conn
	input  *patientReader
	reader *bufio.Reader
	limit  int

	writing sync.Mutex
	closing bool // a close frame was sent: nothing may follow it
}

func newConn(raw net.Conn, input *patientReader, reader *bufio.Reader, limit int) *Conn {
	return &Conn{raw: raw, input: input, reader: reader, limit: limit}
}

// Patience bounds how long nothing at all may come before the connection counts as lost; 0 is for ever.
func (c *Conn) Patience(d time.Duration) { c.input.set(d) }

// Read returns the next text message. Every error is a *Closed, and the last word.
func (c *Conn) Read() ([]byte, error) {
	var message []byte
	started := false
	for {
		f, err := readFrame(c.reader, c.limit-len(message))
		if err != nil {
			return nil, c.fail(err)
		}
		switch f.opcode {
		case opPing:
			if err := c.write(opPong, f.payload); err != nil && !c.isClosing() {
				return nil, c.fail(err)
			}
			continue
		case opPong:
			continue
		case opClose:
			return nil, c.answerClose(f.payload)
		case opBinary:
			return nil, c.fail(&violation{Unsupported, "a message is binary"})
		case opText:
			if started {
				return nil, c.fail(protocolError("a message begins within another"))
			}
			started, message = true, f.payload
		case opContinuation:
			if !started {
				return nil, c.fail(protocolError("a continuation of nothing"))
			}
			message = append(message, f.payload...)
		}
		if !f.fin {
			continue
		}
		if !utf8.Valid(message) {
			return nil, c.fail(&violation{InvalidPayload, "a text message is not UTF-8"})
		}
		return message, nil
	}
}

// Write sends a text message.
func (c *Conn) Write(text []byte) error { return c.write(opText, text) }

// Close says goodbye. Read returns when the other side has answered, or after a moment.
func (c *Conn) Close(code int, reason string) {
	if c.write(opClose, closePayload(code, reason)) != nil {
		c.raw.Close()
		return
	}
	c.input.end(closePatience)
}

// Drop ends the connection without a word.
func (c *Conn) Drop() { c.raw.Close() }

func (c *Conn) write(op opcode, payload []byte) error {
	key, err := newKey()
	if err != nil {
		return err
	}
	c.writing.Lock()
	defer c.writing.Unlock()
	if c.closing {
		return net.ErrClosed
	}
	c.closing = op == opClose
	c.raw.SetWriteDeadline(time.Now().Add(writePatience))
	_, err = c.raw.Write(appendFrame(nil, op, payload, key))
	return err
}

func (c *Conn) isClosing() bool {
	c.writing.Lock()
	defer c.writing.Unlock()
	return c.closing
}

func (c *Conn) answerClose(payload []byte) error {
	closed, err := parseClose(payload)
	if err != nil {
		return c.fail(err)
	}
	c.write(opClose, closePayload(closed.Code, ""))
	c.raw.Close()
	return closed
}

// fail ends the connection because of something that was seen on this side.
func (c *Conn) fail(err error) error {
	var breach *violation
	if errors.As(err, &breach) {
		c.write(opClose, closePayload(breach.code, breach.reason))
	}
	c.raw.Close()
	return &Closed{Code: Lost, Err: err}
}

// patientReader gives every read the same time, or what is left until the end.
type patientReader struct {
	conn     net.Conn
	mu       sync.Mutex
	patience time.Duration
	ended    bool
}

func (r *patientReader) Read(p []byte) (int, error) {
	r.mu.Lock()
	if r.patience > 0 && !r.ended {
		r.conn.SetReadDeadline(time.Now().Add(r.patience))
	}
	r.mu.Unlock()
	return r.conn.Read(p)
}

// set also moves the deadline of a read that waits.
func (r *patientReader) set(d time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ended {
		return
	}
	r.patience = d
	if d > 0 {
		r.conn.SetReadDeadline(time.Now().Add(d))
	} else {
		r.conn.SetReadDeadline(time.Time{})
	}
}

func (r *patientReader) end(d time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ended = true
	r.conn.SetReadDeadline(time.Now().Add(d))
}
