package starwire

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"telescope/internal/ws"
)

const clockPings = 3

// link is one open socket of a Client, from hello on. It belongs to Run, but for the reading.
type link struct {
	c      *Client
	conn   *ws.Conn
	frames chan []byte // closed when the connection is; then closed says how
	closed *ws.Closed
	done   chan struct{} // nobody takes frames any more

	helloID   string
	refreshID string
	pings     map[string]time.Time
	sent      time.Time // hello
	opened    time.Time // zero: not yet
	end       ending
	late      bool
	failed    bool
	retry     *time.Timer
	renewed   chan string
}

func newLink(c *Client, conn *ws.Conn) *link {
	l := &link{c: c, conn: conn, frames: make(chan []byte, 16), done: make(chan struct{}),
		pings: map[string]time.Time{}, retry: time.NewTimer(time.Hour), renewed: make(chan string, 1)}
	go l.read()
	return l
}

func (l *link) read() {
	defer close(l.frames)
	for {
		frame, err := l.conn.Read()
		if err != nil {
			errors.As(err, &l.closed)
			return
		}
		select {
		case l.frames <- frame:
		case <-l.done:
			return
		}
	}
}

// close lets nothing of it run on.
func (l *link) close() {
	close(l.done)
	l.conn.Drop()
	l.retry.Stop()
	for range l.frames {
	}
}

func (l *link) live(ctx context.Context, token string) ending {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	l.sayHello(token)
	slow := time.NewTimer(hellosPatience)
	defer slow.Stop()
	stop := ctx.Done()
	for {
		select {
		case frame, ok := <-l.frames:
			if !ok {
				return l.ended(ctx)
			}
			l.take(ctx, frame)
		case <-l.c.outbox.wake:
			l.pump(ctx)
		case <-l.retry.C:
			l.pump(ctx)
		case token := <-l.renewed:
			l.refresh(token)
		case <-slow.C:
			if l.opened.IsZero() {
				l.conn.Close(ws.Normal, "hello was not answered")
			}
		case <-stop:
			stop = nil
			l.conn.Close(ws.Normal, "")
		}
	}
}

func (l *link) ended(ctx context.Context) ending {
	end := l.end
	if l.late {
		l.c.emit(ctx, Late{})
	}
	if end.err == nil {
		end.err = l.closed
	}
	end.code = l.closed.Code
	if !l.opened.IsZero() {
		end.open = time.Since(l.opened)
	}
	return end
}

func (l *link) sayHello(token string) {
	l.helloID, l.sent = l.c.outbox.nextID(), time.Now()
	l.write(outgoing{l.helloID, "hello", helloArgs{
		Token: token, Epoch: l.c.cursors.epoch, Resume: l.c.cursors.resume(l.c.limits.ResumeStreams)}})
}

func (l *link) write(frame outgoing) {
	text, err := json.Marshal(frame)
	if err == nil {
		err = l.conn.Write(text)
	}
	if err != nil {
		l.conn.Drop() // the reader tells
	}
}

// pump sends what may be sent.
func (l *link) pump(ctx context.Context) {
	if l.opened.IsZero() || l.end.goodbye != nil {
		return
	}
	room := max(l.c.limits.CommandsInFlight-inFlightForOurselves, 1)
	ready, again := l.c.outbox.take(time.Now(), room)
	for _, e := range ready {
		if l.conn.Write(e.frame) != nil {
			l.conn.Drop()
			return
		}
		l.c.emit(ctx, Sent{e.id, e.command, e.first != time.Time{}})
	}
	if again > 0 {
		l.retry.Reset(again)
	}
}

func (l *link) take(ctx context.Context, text []byte) {
	if l.failed {
		return // what has no answer is asked again, and pushes come again
	}
	var in incoming
	if err := json.Unmarshal(text, &in); err != nil {
		l.fail(fmt.Errorf("a frame of the server: %w", err))
		return
	}
	switch in.Type {
	case "reply":
		l.reply(ctx, in.Reply)
	case "push":
		l.push(ctx, in.Push)
	case "resync":
		l.jump(ctx, l.c.cursors.resync(in.Stream, in.Offset))
	case "status":
		if in.Lateness != nil {
			l.late = *in.Lateness > 0
			l.c.emit(ctx, Late{*in.Lateness})
		}
		if in.TokenExpiresIn != nil {
			go l.renew(ctx)
		}
	case "goodbye":
		after := time.Duration(-1)
		if in.ReconnectAfter != nil {
			after = seconds(*in.ReconnectAfter)
		}
		l.end.goodbye = &after
		l.c.emit(ctx, Goodbye{in.Reason, after})
	}
}

// fail ends a connection on which the server has said what it cannot say; coming back helps, or the bound grows.
func (l *link) fail(err error) {
	l.failed, l.end.err = true, err
	l.conn.Close(ws.Normal, "")
}

func (l *link) reply(ctx context.Context, r Reply) {
	if r.ID == l.helloID {
		l.greeted(ctx, r)
		return
	}
	if sent, ok := l.pings[r.ID]; ok {
		delete(l.pings, r.ID)
		var pong struct {
			ServerTime time.Time `json:"server_time"`
		}
		if r.OK && json.Unmarshal(r.Result, &pong) == nil {
			l.c.clock.measure(sent, time.Now(), pong.ServerTime)
		}
		return
	}
	if r.ID != "" && r.ID == l.refreshID {
		var answer struct {
			ExpiresAt *time.Time `json:"expires_at"`
		}
		if r.OK && json.Unmarshal(r.Result, &answer) == nil {
			l.c.emit(ctx, Refreshed{answer.ExpiresAt})
		} // else nothing has changed: the connection ends with 4401, and a newer token is fetched then
		return
	}
	if l.c.outbox.settle(r, time.Now()) {
		l.c.emit(ctx, r)
	}
	l.pump(ctx)
}

// greeted takes the answer to hello.
func (l *link) greeted(ctx context.Context, r Reply) {
	if !r.OK {
		l.end.err, l.end.atLeast = r.Error, seconds(r.Error.RetryAfter)
		if r.Error.Code != "unauthorized" { // after that the server closes, and its code says what to do
			l.conn.Close(ws.Normal, "")
		}
		return
	}
	var h Hello
	if err := json.Unmarshal(r.Result, &h); err != nil {
		l.fail(fmt.Errorf("the answer to hello: %w", err))
		return
	}
	l.opened = time.Now()
	l.c.limits = h.Limits
	l.c.outbox.frames(h.Limits.FrameBytes)
	l.conn.Patience(seconds(h.Limits.PingSeconds * 2.5))
	l.c.clock.reset()
	l.c.clock.measure(l.sent, l.opened, h.ServerTime)
	newHistory, jumps := l.c.cursors.hello(h)
	l.c.emit(ctx, Opened{h, newHistory})
	l.jump(ctx, jumps)
	l.pump(ctx)
	for i := 0; i < clockPings; i++ {
		id := l.c.outbox.nextID()
		l.pings[id] = time.Now()
		l.write(outgoing{ID: id, Command: "ping"})
	}
}

func (l *link) push(ctx context.Context, p Push) {
	v, before, after := l.c.cursors.push(p)
	switch v {
	case isGap:
		l.fail(fmt.Errorf("a gap in %s before %d", p.Stream, p.Offset))
	case isNew:
		l.jump(ctx, before)
		l.c.emit(ctx, p)
		l.jump(ctx, after)
	}
}

func (l *link) jump(ctx context.Context, jumps []Jump) {
	for _, j := range jumps {
		l.c.emit(ctx, j)
	}
}

// renew gets a new token while everything goes on. It runs beside the link, and ends with it.
func (l *link) renew(ctx context.Context) {
	for tries := 0; ; tries++ {
		token, err := l.c.account.Renew(ctx)
		if err == nil {
			select {
			case l.renewed <- token:
			case <-ctx.Done():
			}
			return
		}
		end := notSignedIn(err)
		if end.fatal {
			return
		}
		select {
		case <-time.After(max(jitter(tries), end.atLeast)):
		case <-ctx.Done():
			return
		}
	}
}

func (l *link) refresh(token string) {
	if l.opened.IsZero() || l.end.goodbye != nil {
		return
	}
	l.refreshID = l.c.outbox.nextID()
	l.write(outgoing{l.refreshID, "refresh", map[string]string{"token": token}})
}
