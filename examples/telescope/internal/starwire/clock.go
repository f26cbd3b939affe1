package starwire

import (
	"sync"
	"time"
)

// Clock tells the server's time, by the fastest answer to a ping so far. It is safe for use by many goroutines.
type Clock struct {
	mu    sync.Mutex
	ahead time.Duration // the server's clock, of ours
	error time.Duration // at most; 0: nothing is known
}

// Now is the server's time.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.ahead)
}

// reset forgets: another connection may lead to another clock.
func (c *Clock) reset() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.error = 0
}

func (c *Clock) measure(sent, got, server time.Time) {
	trip := got.Sub(sent)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.error == 0 || trip/2 < c.error {
		c.ahead, c.error = server.Sub(sent.Add(trip/2)), max(trip/2, 1)
	}
}
