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
	later
	newToken
	never
)

func actionOf(code int) action {
	switch code {
	case 1001, 1012:
		return asAdvised
	case 4400, 4429:
		return later
	case 4401:
		return newToken
	case 4403:
		return never
	}
	return backOff
}

const (
	firstBound = 500 * time.Millisecond
	lastBound  = 30 * time.Second
	laterPause = 30 * time.Second // and as much again at most
	steady     = 5 * time.Second  // a connection that was open for so long was a success
	tokenTries = 4
	sentAgain  = 5              // times, after refusals; then the caller is told
	replyKept  = 23 * time.Hour // the server keeps replies for 24
)

// jitter is a random time up to a bound that doubles with each try.
func jitter(tries int) time.Duration {
	bound := lastBound
	if tries < 6 {
		bound = min(firstBound<<tries, lastBound)
	}
	return upTo(bound)
}

func upTo(bound time.Duration) time.Duration { return time.Duration(rand.Float64() * float64(bound)) }

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
	tries  int
	tokens int // that were refused as expired, in a row
}

// after says how long to wait, or that there is no coming back.
func (p *patience) after(end ending) (wait time.Duration, over bool) {
	if end.open >= steady {
		*p = patience{}
	}
	what := actionOf(end.code)
	if what == newToken {
		p.tokens++
	}
	switch {
	case end.fatal, what == never, p.tokens == tokenTries:
		return 0, true
	case what == later:
		return laterPause + upTo(laterPause), false
	case what == newToken && p.tokens == 1:
		return 0, false
	case what != newToken && end.goodbye != nil && *end.goodbye >= 0:
		p.tries = 0
		return *end.goodbye, false
	}
	wait = end.atLeast + jitter(p.tries)
	p.tries++
	return wait, false
}
