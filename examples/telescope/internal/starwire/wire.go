// Package starwire is a client of the protocol starwire.v1, written from docs/reference/protocol.md and http.md.
//
// Client keeps one connection, and comes back when it is lost. Everything it sees comes out of Events, in order: each
// push once, each command's one Reply, and a Jump wherever a stream goes on from another place than it had come to.
// Watch makes a true state of a view and its pushes.
package starwire

import (
	"encoding/json"
	"fmt"
	"time"
)

// Reply is the one answer to a command or a view.
type Reply struct {
	ID        string           `json:"id"`
	Command   string           `json:"command"`
	OK        bool             `json:"ok"`
	Result    json.RawMessage  `json:"result,omitempty"`
	Error     *Error           `json:"error,omitempty"`
	Positions map[string]int64 `json:"positions,omitempty"`
}

// Error is why a command was not carried out.
type Error struct {
	Code       string          `json:"code"`
	Message    string          `json:"message"`
	Retry      bool            `json:"retry"`
	RetryAfter float64         `json:"retry_after,omitempty"`
	Reason     string          `json:"reason,omitempty"`
	Details    json.RawMessage `json:"details,omitempty"`
}

func (e *Error) Error() string { return fmt.Sprintf("%s: %s", e.Code, e.Message) }

// Push is one event of a stream.
type Push struct {
	Stream  string          `json:"stream"`
	Offset  int64           `json:"offset"`
	Event   string          `json:"event"`
	At      time.Time       `json:"at"`
	Data    json.RawMessage `json:"data"`
	Message string          `json:"message,omitempty"`
}

// Hello is the server's answer to hello.
type Hello struct {
	Player     string                `json:"player"`
	Name       string                `json:"name"`
	ServerTime time.Time             `json:"server_time"`
	Epoch      string                `json:"epoch"`
	Streams    map[string]StreamHead `json:"streams"`
	Limits     Limits                `json:"limits"`
}

// StreamHead is what hello tells of a stream.
type StreamHead struct {
	Offset    int64 `json:"offset"`
	Recovered bool  `json:"recovered"`
}

// Limits are those of the server that a client needs.
type Limits struct {
	FrameBytes       int     `json:"frame_bytes"`
	CommandsInFlight int     `json:"commands_in_flight"`
	ResumeStreams    int     `json:"resume_streams"`
	PingSeconds      float64 `json:"ping_seconds"`
}

// incoming has the fields of every frame of the server.
type incoming struct {
	Type string `json:"type"`
	Reply
	Push
	Lateness       *float64 `json:"lateness"`
	TokenExpiresIn *float64 `json:"token_expires_in"`
	Reason         string   `json:"reason"`
	ReconnectAfter *float64 `json:"reconnect_after"`
}

// outgoing is a frame of the client.
type outgoing struct {
	ID      string `json:"id"`
	Command string `json:"command"`
	Args    any    `json:"args,omitempty"`
}

type helloArgs struct {
	Token  string           `json:"token"`
	Epoch  string           `json:"epoch,omitempty"`
	Resume map[string]int64 `json:"resume,omitempty"`
}

// Event is what comes out of a Client: Opened, Sent, Reply, Push, Jump, Late, Goodbye, Refreshed, Closed.
type Event interface{ event() }

// Opened says that hello was answered. NewHistory: all that was known is void.
type Opened struct {
	Hello
	NewHistory bool
}

// Sent says that a command went out; Again, that it had gone out before.
type Sent struct {
	ID      string
	Command string
	Again   bool
}

// Jump says that a stream goes on after Offset, and that it had not come there push by push.
// Gone: it is not heard any more.
type Jump struct {
	Stream string
	Offset int64
	Gone   bool
}

// Late says how many seconds the server's due work is late; 0 that this is over.
type Late struct{ Seconds float64 }

// Goodbye says that the server is about to close.
type Goodbye struct {
	Reason string
	After  time.Duration
}

// Refreshed says that the open connection has a new token.
type Refreshed struct{ ExpiresAt *time.Time }

// Closed says how a connection, or an attempt at one, ended; and after how long the next begins.
type Closed struct {
	Code int // 0: it never opened
	Err  error
	Wait time.Duration
}

func (Opened) event()    {}
func (Sent) event()      {}
func (Reply) event()     {}
func (Push) event()      {}
func (Jump) event()      {}
func (Late) event()      {}
func (Goodbye) event()   {}
func (Refreshed) event() {}
func (Closed) event()    {}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
