package starwire

import (
	"math/rand"
	"time"
)

// action is what a close code asks for.
type action int

const (
	backOff action = iota
	asAdvised
	newToken
	never
)

func actionOf(code int) action {
	switch code {
	case 1001, 1012:
		return asAdvised
	case 4401:
		return newToken
	case 1009, 4400, 4403:
		return never
	}
	return backOff
}

const (
	tooManyConnections   = 4429
	tooManyPause         = 30 * time.Second
	firstBound           = 500 * time.Millisecond
	lastBound            = 30 * time.Second
	steady               = time.Second // a connection that was open for so long was a success
	commandTries         = 5
	replyKept            = 23 * time.Hour // the server keeps replies for 24
	inFlightForOurselves = 8              // of what may be in flight: hello, refresh, pings
)

// jitter is a random time up to a bound that doubles with each try.
func jitter(tries int) time.Duration {
	bound := lastBound
	if tries < 6 {
		bound = min(firstBound<<tries, lastBound)
	}
	return time.Duration(rand.Float64() * float64(bound))
}

// ending is how a connection ended, as far as it matters for what comes next.
type ending struct {
	code    int
	err     error
	fatal   bool           // there is no use in trying again
	goodbye *time.Duration // what it advised; below 0: nothing
	atLeast time.Duration  // what the server asked for otherwise
	open    time.Duration  // since hello's reply
}

// patience decides when to come back.
type patience struct {
	tries   int
	refused bool // the last token was refused as expired, and no hello has succeeded since
}

// after says how long to wait, or that there is no coming back.
func (p *patience) after(end ending) (wait time.Duration, over bool) {
	if end.open >= steady {
		p.tries = 0
	}
	if end.open > 0 {
		p.refused = false
	}
	what := actionOf(end.code)
	switch {
	case end.fatal || what == never:
		return 0, true
	case what == newToken && !p.refused:
		p.refused = true
		return 0, false
	case what != newToken && end.goodbye != nil && *end.goodbye >= 0:
		return *end.goodbye, false
	}
	wait = jitter(p.tries)
	p.tries++
	if end.code == tooManyConnections {
		wait += tooManyPause
	}
	return max(wait, end.atLeast), false
}
