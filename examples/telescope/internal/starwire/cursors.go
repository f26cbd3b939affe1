package starwire

import (
	"encoding/json"
	"sort"
)

// cursors remembers how far each stream was heard. It belongs to one goroutine.
type cursors struct {
	epoch   string
	own     string // the player's own stream
	settled int64  // what is on it up to here was settled by hello
	heard   map[string]int64
	named   map[string]bool  // what the last hello asked to resume
	fromOld map[string]bool  // resumed from 0: the first offset may be any
	told    map[string]int64 // jumps that hello's reply told; a resync repeats them
	gap     struct {
		stream string
		after  int64
	}
}

type verdict int

const (
	isNew verdict = iota
	isOld
	isGap
)

func newCursors() *cursors {
	return &cursors{heard: map[string]int64{}, named: map[string]bool{}, fromOld: map[string]bool{},
		told: map[string]int64{}}
}

// resume is what hello says of the past, of at most limit streams.
func (c *cursors) resume(limit int) map[string]int64 {
	names := make([]string, 0, len(c.heard))
	for stream := range c.heard {
		names = append(names, stream)
	}
	sort.Slice(names, func(i, j int) bool {
		if first := names[i] == c.own || names[i] == "all"; first != (names[j] == c.own || names[j] == "all") {
			return first
		}
		return names[i] < names[j]
	})
	if len(names) > limit {
		names = names[:limit]
	}
	resume := make(map[string]int64, len(names))
	clear(c.named)
	clear(c.fromOld)
	for _, stream := range names {
		resume[stream] = c.heard[stream]
		c.named[stream] = true
		c.fromOld[stream] = c.heard[stream] == 0
	}
	return resume
}

// hello takes the answer, and tells where streams go on from another place than before.
func (c *cursors) hello(h Hello) (newHistory bool, jumps []Jump) {
	newHistory = c.epoch != "" && c.epoch != h.Epoch
	c.epoch, c.own = h.Epoch, "player:"+h.Player
	c.settled = h.Streams[c.own].Offset
	clear(c.told)
	for stream := range c.heard {
		if _, still := h.Streams[stream]; !still {
			delete(c.heard, stream)
			jumps = append(jumps, Jump{Stream: stream, Gone: true})
		}
	}
	for stream, head := range h.Streams {
		if _, had := c.heard[stream]; had && c.named[stream] && head.Recovered && !newHistory {
			continue
		}
		c.heard[stream] = head.Offset
		c.told[stream] = head.Offset
		delete(c.fromOld, stream)
		jumps = append(jumps, Jump{Stream: stream, Offset: head.Offset})
	}
	sort.Slice(jumps, func(i, j int) bool { return jumps[i].Stream < jumps[j].Stream })
	return newHistory, jumps
}

// resync says that a stream goes on after the offset; what hello's reply has told already is no news.
func (c *cursors) resync(stream string, offset int64) []Jump {
	if told, ok := c.told[stream]; ok && told == offset {
		return nil
	}
	return []Jump{c.jump(stream, offset)}
}

func (c *cursors) jump(stream string, offset int64) Jump {
	c.heard[stream] = offset
	delete(c.fromOld, stream)
	return Jump{Stream: stream, Offset: offset}
}

// push judges a push. Jumps before it are the stream's own, those after it are what it says of others.
func (c *cursors) push(p Push) (v verdict, before, after []Jump) {
	last, known := c.heard[p.Stream]
	switch {
	case !known || p.Offset <= last:
		return isOld, nil, nil
	case p.Offset == last+1 || c.fromOld[p.Stream]:
	case last == 0 || c.gap.stream == p.Stream && c.gap.after == last:
		before = append(before, c.jump(p.Stream, p.Offset-1))
	default:
		c.gap.stream, c.gap.after = p.Stream, last
		return isGap, nil, nil
	}
	c.heard[p.Stream] = p.Offset
	delete(c.fromOld, p.Stream)
	delete(c.told, p.Stream)
	if p.Stream == c.own && p.Offset > c.settled {
		after = c.membership(p)
	}
	return isNew, before, after
}

// membership follows what a push on the player's own stream says of other streams.
func (c *cursors) membership(p Push) []Jump {
	var data struct {
		Stream string `json:"stream"`
		Offset int64  `json:"offset"`
	}
	if p.Event != "subscribed" && p.Event != "unsubscribed" || json.Unmarshal(p.Data, &data) != nil {
		return nil
	}
	last, known := c.heard[data.Stream]
	switch {
	case p.Event == "unsubscribed":
		delete(c.heard, data.Stream)
		return []Jump{{Stream: data.Stream, Gone: true}}
	case known && last >= data.Offset:
		return nil
	}
	return []Jump{c.jump(data.Stream, data.Offset)}
}
