package starwire

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"telescope/internal/ws"
)

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
	renewed   chan string

	slow    *time.Timer // hello, or the close after its refusal
	retry   *time.Timer // of commands that were refused
	clock   *time.Timer // the next ping of the clock
	quiet   *time.Timer // no frame came: is anybody there?
	onTime  *time.Timer // lateness was not told again
	samples int         // of the clock
}

func newLink(c *Client, conn *ws.Conn) *link {
	l := &link{c: c, conn: conn, frames: make(chan []byte, 16), done: make(chan struct{}),
		pings: map[string]time.Time{}, renewed: make(chan string, 1), slow: time.NewTimer(helloPatience),
		retry: stopped(), clock: stopped(), quiet: stopped(), onTime: stopped()}
	go l.read()
	return l
}

// stopped is a timer that does not run yet.
func stopped() *time.Timer {
	t := time.NewTimer(time.Hour)
	t.Stop()
	return t
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
	for _, timer := range []*time.Timer{l.slow, l.retry, l.clock, l.quiet, l.onTime} {
		timer.Stop()
	}
	for range l.frames {
	}
}

func (l *link) live(ctx context.Context, token string) ending {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	l.sayHello(token)
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
		case <-l.slow.C:
			if l.opened.IsZero() {
				l.conn.Close(ws.Normal, "")
			}
		case <-l.clock.C:
			l.askClock()
		case <-l.quiet.C:
			l.ping()
		case <-l.onTime.C:
			l.late = false
			l.c.emit(ctx, Late{})
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
	ready, again := l.c.outbox.take(time.Now(), l.c.limits.CommandsInFlight)
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
	if !l.opened.IsZero() {
		l.quiet.Reset(seconds(l.c.limits.PingSeconds + quietSeconds))
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
			if l.late = *in.Lateness > 0; l.late {
				l.onTime.Reset(latePatience)
			} else {
				l.onTime.Stop()
			}
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
