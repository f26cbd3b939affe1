package starwire

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"
)

var (
	// ErrFull says that too many commands wait for a connection or for their replies.
	ErrFull = errors.New("too many commands have no answer yet")
	// ErrTooLarge says that the server would close the connection because of this command.
	ErrTooLarge = errors.New("the command is too large")
)

// entry is a command without its reply.
type entry struct {
	id, command string
	frame       []byte
	first       time.Time // when it was sent first; zero: never
	sent        bool      // on this connection
	tries       int       // refused with retry
	notBefore   time.Time
}

// outbox keeps commands in order until they are answered: bounded, and safe for use by many goroutines.
type outbox struct {
	mu      sync.Mutex
	prefix  string
	count   int
	limit   int
	bytes   int // of one frame
	entries []*entry
	wake    chan struct{} // something was added
}

func newOutbox(limit int) *outbox {
	var random [6]byte
	if _, err := rand.Read(random[:]); err != nil {
		panic(err)
	}
	return &outbox{prefix: hex.EncodeToString(random[:]), limit: limit, bytes: frameBytes, wake: make(chan struct{}, 1)}
}

// frames are at most so large from now on. What is larger is given up, for it would end every connection.
func (o *outbox) frames(bytes int) []Reply {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.bytes = bytes
	return o.giveUp(func(e *entry) bool { return len(e.frame) > bytes },
		Error{Code: "too_large", Message: "It is larger than the server takes."})
}

// nextID is unique among the commands of the player.
func (o *outbox) nextID() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.makeID()
}

func (o *outbox) makeID() string {
	o.count++
	return fmt.Sprintf("%s-%d", o.prefix, o.count)
}

func (o *outbox) add(command string, args any) (string, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.entries) >= o.limit {
		return "", ErrFull
	}
	id := o.makeID()
	frame, err := json.Marshal(outgoing{id, command, args})
	if err != nil {
		return "", err
	}
	if len(frame) > o.bytes {
		return "", ErrTooLarge
	}
	o.entries = append(o.entries, &entry{id: id, command: command, frame: frame})
	select {
	case o.wake <- struct{}{}:
	default:
	}
	return id, nil
}

// take returns what may be sent now, in order, and marks it as sent; and how long until more may be (0: not by time).
func (o *outbox) take(now time.Time, inFlight int) (ready []entry, again time.Duration) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, e := range o.entries {
		if e.sent {
			inFlight--
		}
	}
	for _, e := range o.entries {
		if e.sent || inFlight <= 0 {
			continue
		}
		if wait := e.notBefore.Sub(now); wait > 0 {
			if again == 0 || wait < again {
				again = wait
			}
			continue
		}
		ready = append(ready, *e)
		e.sent = true
		if e.first.IsZero() {
			e.first = now
		}
		inFlight--
	}
	return ready, again
}

// lost says that the connection is: what was sent on it has no answer, and goes first on the next one.
func (o *outbox) lost() {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, e := range o.entries {
		e.sent = false
	}
}

// settle takes a reply. False: it is of nothing that waits, or the command will be sent again.
func (o *outbox) settle(r Reply, now time.Time) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	for i, e := range o.entries {
		if e.id != r.ID {
			continue
		}
		if !r.OK && r.Error != nil && r.Error.Retry && e.tries < sentAgain {
			e.sent = false
			e.notBefore = now.Add(seconds(r.Error.RetryAfter) + jitter(e.tries))
			e.tries++
			return false
		}
		o.entries = append(o.entries[:i], o.entries[i+1:]...)
		return true
	}
	return false
}

// expire gives up what the server may have forgotten: sent again, it could happen twice.
func (o *outbox) expire(now time.Time) []Reply {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.giveUp(func(e *entry) bool { return !e.sent && !e.first.IsZero() && now.Sub(e.first) >= replyKept },
		Error{Code: "unknown", Message: "It was sent long ago; whether it happened is not known."})
}

// giveUp takes entries out, and answers them.
func (o *outbox) giveUp(which func(*entry) bool, why Error) (replies []Reply) {
	kept := o.entries[:0]
	for _, e := range o.entries {
		if which(e) {
			replies = append(replies, Reply{ID: e.id, Command: e.command, Error: &why})
		} else {
			kept = append(kept, e)
		}
	}
	o.entries = kept
	return replies
}

// waiting is how many commands have no answer yet.
func (o *outbox) waiting() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.entries)
}
