package starwire

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

func ids(entries []entry) string {
	var all []string
	for _, e := range entries {
		all = append(all, e.command)
	}
	return strings.Join(all, " ")
}

func TestTheOutboxSendsInOrderWithinItsBoundAndAgainAfterALoss(t *testing.T) {
	o, now := newOutbox(5), time.Now()
	frames := map[string]string{}
	for i := 0; i < 5; i++ {
		if _, err := o.add(fmt.Sprint("c", i), nil); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := o.add("c5", nil); !errors.Is(err, ErrFull) {
		t.Error(err)
	}
	first, _ := o.take(now, 3)
	for _, e := range first {
		frames[e.id] = string(e.frame)
	}
	if got := ids(first); got != "c0 c1 c2" {
		t.Error(got)
	}
	if again, _ := o.take(now, 3); len(again) != 0 {
		t.Error(ids(again))
	}
	if !o.settle(Reply{ID: first[1].id, OK: true}, now) || o.settle(Reply{ID: first[1].id, OK: true}, now) {
		t.Error("a reply settles once")
	}
	o.lost()
	second, _ := o.take(now, 64)
	if got := ids(second); got != "c0 c2 c3 c4" {
		t.Error(got)
	}
	if second[0].first.IsZero() || !second[2].first.IsZero() {
		t.Error("what was sent before is not known")
	}
	if string(second[0].frame) != frames[second[0].id] {
		t.Error("another text under the same id")
	}
}

func TestARefusalWithRetryIsSentAgainAFewTimes(t *testing.T) {
	o, now := newOutbox(5), time.Now()
	id, _ := o.add("c", nil)
	refusal := Reply{ID: id, Error: &Error{Code: "rate_limited", Retry: true, RetryAfter: 2}}
	for try := 1; try <= sentAgain; try++ {
		if got, _ := o.take(now, 64); len(got) != 1 {
			t.Fatalf("try %d: not sent", try)
		}
		if o.settle(refusal, now) {
			t.Fatalf("try %d: settled", try)
		}
		got, again := o.take(now.Add(1900*time.Millisecond), 64)
		if len(got) != 0 || again <= 0 {
			t.Fatalf("try %d: sent before its time", try)
		}
		now = now.Add(40 * time.Second)
	}
	o.take(now, 64)
	if !o.settle(refusal, now) || o.waiting() != 0 {
		t.Error("the last refusal is not told")
	}
}

func TestWhatTheServerMayHaveForgottenIsGivenUp(t *testing.T) {
	o, now := newOutbox(5), time.Now()
	o.add("sent", nil)
	o.take(now, 64)
	o.add("never sent", nil)
	o.lost()
	if given := o.expire(now.Add(22 * time.Hour)); given != nil {
		t.Error(given)
	}
	given := o.expire(now.Add(24 * time.Hour))
	if len(given) != 1 || given[0].Command != "sent" || o.waiting() != 1 {
		t.Error(given)
	}
}

func TestWhenToComeBack(t *testing.T) {
	second := time.Second
	for code, want := range map[int]string{
		1000: "backoff", 1002: "backoff", 1006: "backoff", 1007: "backoff", 1011: "backoff", 4408: "backoff",
		1001: "backoff", 1012: "backoff", 4999: "backoff", 0: "backoff",
		1009: "backoff", 4400: "later", 4403: "over", 4401: "at once", 4429: "later",
	} {
		var p patience
		wait, over := p.after(ending{code: code})
		got := "backoff"
		switch {
		case over:
			got = "over"
		case p.tokens > 0 && wait == 0:
			got = "at once"
		case wait >= 30*second && wait <= 60*second:
			got = "later"
		case wait > firstBound:
			got = wait.String()
		}
		if got != want {
			t.Errorf("%d: %s, want %s", code, got, want)
		}
	}
	p, advised := patience{}, 3200*time.Millisecond
	if wait, _ := p.after(ending{code: 1012, goodbye: &advised}); wait != advised {
		t.Error(wait)
	}
	if wait, _ := p.after(ending{code: 1006, goodbye: &advised}); wait != advised {
		t.Error(wait)
	}
	if wait, _ := p.after(ending{atLeast: 7 * second}); wait < 7*second {
		t.Error(wait)
	}
	for try := 0; try < 20; try++ {
		if wait, _ := p.after(ending{code: 1006}); wait > 30*second {
			t.Error(wait)
		}
	}
	if p.after(ending{code: 1006, open: time.Minute}); p.tries != 1 {
		t.Error("a connection that held does not begin anew:", p.tries)
	}
	p.after(ending{code: 4401})
	if p.after(ending{code: 4401}); p.tries != 2 {
		t.Error("a second refused token in a row is asked for without a pause")
	}
	p.after(ending{code: 1006})
	p.after(ending{code: 4401, open: second})
	if _, over := p.after(ending{code: 4401}); !over {
		t.Error("a fourth refused token in a row is not the end")
	}
}
