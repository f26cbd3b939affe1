package starwire

import (
	"encoding/json"
	"time"
)

// Watch keeps a state true: a view's result, and every later push of its streams, each once and in order.
// It belongs to one goroutine, which hands it all that a Client tells.
type Watch struct {
	load  func(result json.RawMessage) error
	apply func(Push)

	asked     string // the id of the view that has no answer yet
	stale     bool   // the view is to be asked (again)
	positions map[string]int64
	from      map[string]int64 // per stream: whatever comes after this has been, or will be, seen
	start     map[string]int64 // from, as it was when the view was asked
	kept      []Push
	behind    int       // answers in a row that were too old
	notBefore time.Time // and when to ask after the last of them
}

// mostKept bounds what is kept while a view has no answer; past it, the view is asked again.
const mostKept = 10_000

// NewWatch makes a watch whose view is to be asked at once.
func NewWatch(load func(json.RawMessage) error, apply func(Push)) *Watch {
	return &Watch{load: load, apply: apply, stale: true, from: map[string]int64{}}
}

// Stale says whether the view is to be asked now.
func (w *Watch) Stale() bool { return w.stale && w.asked == "" && !time.Now().Before(w.notBefore) }

// True says whether the state is: read once, and never out of step since.
func (w *Watch) True() bool { return w.positions != nil && !w.stale }

// Invalidate lets the view be asked again, for reasons of one's own.
func (w *Watch) Invalidate() { w.stale = true }

// Asked says under which id the view was asked.
func (w *Watch) Asked(id string) {
	w.asked, w.stale, w.kept = id, false, nil
	w.start = make(map[string]int64, len(w.from))
	for stream, offset := range w.from {
		w.start[stream] = offset
	}
}

// Push hands over a push, of whatever stream.
func (w *Watch) Push(p Push) {
	w.from[p.Stream] = p.Offset
	if w.asked != "" {
		if len(w.kept) == mostKept {
			w.kept, w.stale = nil, true
		}
		w.kept = append(w.kept, p)
	}
	w.step(p)
}

// step applies a push if it is the next one.
func (w *Watch) step(p Push) {
	position, ours := w.positions[p.Stream]
	switch {
	case !ours || p.Offset <= position:
	case p.Offset == position+1:
		w.positions[p.Stream] = p.Offset
		w.apply(p)
	default:
		w.stale = true
	}
}

// Jump hands over a jump: pushes between the position and its offset will not come.
func (w *Watch) Jump(j Jump) {
	position, ours := w.positions[j.Stream]
	if j.Gone {
		delete(w.from, j.Stream)
		delete(w.start, j.Stream)
		w.stale = w.stale || ours
		return
	}
	w.from[j.Stream] = j.Offset
	if w.asked != "" {
		w.start[j.Stream] = j.Offset
	}
	if ours && position < j.Offset {
		w.stale = true
	}
}

// Void forgets everything: another history has begun.
func (w *Watch) Void() {
	w.positions, w.kept, w.stale = nil, nil, true
	clear(w.from)
	w.asked = "" // an answer that still comes may be of the old history
}

// Reply hands over a reply, of whatever command. It says whether it was the view's; an error, that it was no use.
func (w *Watch) Reply(r Reply) (mine bool, err error) {
	if w.asked == "" || r.ID != w.asked {
		return false, nil
	}
	w.asked = ""
	if !r.OK {
		w.stale = w.stale || r.Error.Retry
		return true, r.Error
	}
	for stream, position := range r.Positions {
		if position < w.start[stream] {
			w.stale, w.notBefore = true, time.Now().Add(jitter(w.behind))
			w.behind++
			return true, nil
		}
	}
	if err := w.load(r.Result); err != nil {
		return true, err
	}
	w.positions, w.behind = r.Positions, 0
	kept := w.kept
	w.kept = nil
	for _, p := range kept {
		w.step(p)
	}
	return true, nil
}
