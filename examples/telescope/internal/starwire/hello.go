package starwire

import (
	"context"
	"encoding/json"
	"fmt"
	"time"
)

const (
	clockSamples = 5
	clockPause   = 250 * time.Millisecond
	clockEvery   = 10 * time.Minute
)

func (l *link) sayHello(token string) {
	l.helloID, l.sent = l.c.outbox.nextID(), time.Now()
	l.write(outgoing{l.helloID, "hello", helloArgs{
		Token: token, Epoch: l.c.cursors.epoch, Resume: l.c.cursors.resume(l.c.limits.ResumeStreams)}})
}

// greeted takes the answer to hello.
func (l *link) greeted(ctx context.Context, r Reply) {
	if !r.OK {
		l.end.err, l.end.atLeast = r.Error, seconds(r.Error.RetryAfter)
		l.slow.Reset(closePatience) // the server closes, and its code says what to do
		return
	}
	var h Hello
	if err := json.Unmarshal(r.Result, &h); err != nil {
		l.fail(fmt.Errorf("the answer to hello: %w", err))
		return
	}
	l.opened = time.Now()
	l.c.limits = h.Limits
	l.conn.Patience(seconds(h.Limits.PingSeconds + deadSeconds))
	l.quiet.Reset(seconds(h.Limits.PingSeconds + quietSeconds))
	l.c.clock.measure(l.sent, l.opened, h.ServerTime)
	newHistory, jumps := l.c.cursors.hello(h)
	l.c.emit(ctx, Opened{h, newHistory})
	l.jump(ctx, jumps)
	for _, reply := range l.c.outbox.frames(h.Limits.FrameBytes) {
		l.c.emit(ctx, reply)
	}
	l.pump(ctx)
	l.askClock()
}

// askClock asks for the time: a few times in a row, and again much later.
func (l *link) askClock() {
	l.ping()
	l.samples++
	if l.samples%clockSamples == 0 {
		l.clock.Reset(clockEvery)
	} else {
		l.clock.Reset(clockPause)
	}
}

func (l *link) ping() {
	if l.end.goodbye != nil {
		return
	}
	id := l.c.outbox.nextID()
	l.pings[id] = time.Now()
	l.write(outgoing{ID: id, Command: "ping"})
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
		case <-time.After(end.atLeast + jitter(tries)):
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
