package starwire

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"telescope/internal/ws"
)

const (
	subprotocol   = "starwire.v1"
	messageBytes  = 16 << 20
	dialPatience  = 15 * time.Second
	helloPatience = 15 * time.Second
	closePatience = 2 * time.Second // after hello was refused
	quietSeconds  = 5               // past ping_seconds without a frame, we ask
	deadSeconds   = 15              // past ping_seconds without anything, it is lost
	latePatience  = 5 * time.Second // lateness that is not told again is over
	outboxLimit   = 100
	frameBytes    = 65_536 // until hello tells
)

// Client is a player's connection, over all the sockets it takes.
type Client struct {
	account *Account
	address string
	events  chan Event
	outbox  *outbox
	clock   *Clock

	// What follows belongs to Run.
	cursors  *cursors
	patience patience
	limits   Limits
}

// New makes a client; Run lets it live.
func New(account *Account) *Client {
	return &Client{
		account: account,
		address: "ws" + strings.TrimPrefix(strings.TrimSuffix(account.URL, "/"), "http") + "/ws",
		events:  make(chan Event, 64),
		outbox:  newOutbox(outboxLimit),
		clock:   &Clock{},
		cursors: newCursors(),
		limits:  Limits{FrameBytes: frameBytes, CommandsInFlight: 64, ResumeStreams: 256, PingSeconds: 20},
	}
}

// Events tells all that is seen, in order. It is closed when Run ends, and has to be read meanwhile.
func (c *Client) Events() <-chan Event { return c.events }

// Clock tells the server's time.
func (c *Client) Clock() *Clock { return c.clock }

// Waiting is how many commands have no answer yet.
func (c *Client) Waiting() int { return c.outbox.waiting() }

// Do sends a command or view, now or when there is a connection, until it is answered: exactly one Reply has the id.
func (c *Client) Do(command string, args any) (id string, err error) {
	return c.outbox.add(command, args)
}

// Run connects, and comes back, until the context ends or the server says not to.
func (c *Client) Run(ctx context.Context) error {
	defer close(c.events)
	for {
		end := c.connection(ctx)
		c.outbox.lost()
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if actionOf(end.code) == newToken {
			c.account.Expire()
		}
		wait, over := c.patience.after(end)
		c.emit(ctx, Closed{Code: end.code, Err: end.err, Wait: wait})
		if over {
			return end.err
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// connection is one: from its token to its end.
func (c *Client) connection(ctx context.Context) ending {
	for _, reply := range c.outbox.expire(time.Now()) {
		c.emit(ctx, reply)
	}
	token, err := c.account.Token(ctx)
	if err != nil {
		return notSignedIn(err)
	}
	dialing, cancel := context.WithTimeout(ctx, dialPatience)
	defer cancel()
	conn, err := ws.Dial(dialing, c.address, subprotocol, messageBytes)
	if err != nil {
		return notOpened(err)
	}
	l := newLink(c, conn)
	end := l.live(ctx, token)
	l.close()
	return end
}

func notSignedIn(err error) ending {
	var answer *HTTPError
	if errors.As(err, &answer) {
		return ending{err: err, atLeast: answer.RetryAfter, fatal: !worthwhile(answer.Status)}
	}
	return ending{err: err}
}

// worthwhile says whether what was refused with this status may succeed later.
func worthwhile(status int) bool {
	return status < 400 || status >= 500 || status == http.StatusRequestTimeout || status == http.StatusTooManyRequests
}

// notOpened is how a handshake failed. What is refused as wrong, and not as slow, will be refused again.
func notOpened(err error) ending {
	var refused *ws.Refused
	if !errors.As(err, &refused) {
		return ending{err: err}
	}
	return ending{err: err, atLeast: headerWait(refused.RetryAfter), fatal: !worthwhile(refused.Status)}
}

func (c *Client) emit(ctx context.Context, e Event) {
	select {
	case c.events <- e:
	case <-ctx.Done():
	}
}
