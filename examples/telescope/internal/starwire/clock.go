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

func (c *Clock) measure(sent, got, server time.Time) {
	trip := got.Sub(sent)
	c.mu.Lock()
	defer c.mu.Unlock()
	ahead := server.Sub(sent.Add(trip / 2))
	moved := (ahead - c.ahead).Abs() > c.error+trip/2 // our clock was set, then
	if c.error == 0 || trip/2 < c.error || moved {
		c.ahead, c.error = ahead, max(trip/2, 1)
	}
}
