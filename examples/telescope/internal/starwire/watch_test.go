package starwire

import (
	"encoding/json"
	"fmt"
	"testing"
)

// tally is a state that shows what made it: a view's result, then the offsets of pushes.
type tally struct {
	*Watch
	state string
}

func newTally() *tally {
	t := &tally{}
	t.Watch = NewWatch(
		func(result json.RawMessage) error { t.state = string(result); return nil },
		func(p Push) { t.state += fmt.Sprintf(" %d", p.Offset) },
	)
	t.Watch.Jump(Jump{Stream: "s", Offset: 4})
	return t
}

func (t *tally) answer(id string, position int64) {
	t.Reply(Reply{ID: id, OK: true, Result: json.RawMessage("V"), Positions: map[string]int64{"s": position}})
}

func TestAWatchIsTrue(t *testing.T) {
	at := func(w *tally, offsets ...int64) {
		for _, offset := range offsets {
			w.Push(push("s", offset))
		}
	}
	for name, c := range map[string]struct {
		play  func(w *tally)
		state string
		stale bool
	}{
		"pushes after the answer":                {func(w *tally) { w.Asked("a"); w.answer("a", 4); at(w, 5, 6) }, "V 5 6", false},
		"pushes that the result holds":           {func(w *tally) { w.Asked("a"); w.answer("a", 6); at(w, 5, 6, 7) }, "V 7", false},
		"pushes before the answer":               {func(w *tally) { w.Asked("a"); at(w, 5, 6, 7); w.answer("a", 5) }, "V 6 7", false},
		"other streams":                          {func(w *tally) { w.Asked("a"); w.answer("a", 4); w.Push(push("z", 1)); at(w, 5) }, "V 5", false},
		"a position before what was kept":        {func(w *tally) { at(w, 5, 6); w.Asked("a"); w.answer("a", 5) }, "", true},
		"a jump past the position":               {func(w *tally) { w.Asked("a"); w.answer("a", 4); w.Jump(Jump{Stream: "s", Offset: 9}) }, "V", true},
		"a jump to what the result holds":        {func(w *tally) { w.Asked("a"); w.answer("a", 9); w.Jump(Jump{Stream: "s", Offset: 9}); at(w, 10) }, "V 10", false},
		"a jump past an answer that comes later": {func(w *tally) { w.Asked("a"); at(w, 5); w.Jump(Jump{Stream: "s", Offset: 9}); w.answer("a", 7) }, "", true},
		"a jump before a later answer": {func(w *tally) {
			w.Asked("a")
			at(w, 5)
			w.Jump(Jump{Stream: "s", Offset: 9})
			at(w, 10)
			w.answer("a", 9)
		}, "V 10", false},
		"a stream that is not heard any more": {func(w *tally) { w.Asked("a"); w.answer("a", 4); w.Jump(Jump{Stream: "s", Gone: true}) }, "V", true},
		"another command's reply":             {func(w *tally) { w.Asked("a"); w.answer("b", 4); at(w, 5); w.answer("a", 4) }, "V 5", false},
		"another history":                     {func(w *tally) { w.Asked("a"); w.Void(); w.answer("a", 4) }, "", true},
		"a refusal that passes":               {func(w *tally) { w.Asked("a"); w.Reply(Reply{ID: "a", Error: &Error{Retry: true}}) }, "", true},
		"a refusal for good":                  {func(w *tally) { w.Asked("a"); w.Reply(Reply{ID: "a", Error: &Error{}}) }, "", false},
	} {
		w := newTally()
		c.play(w)
		if w.state != c.state || w.stale != c.stale {
			t.Errorf("%s: %q, stale %v", name, w.state, w.stale)
		}
	}
}
