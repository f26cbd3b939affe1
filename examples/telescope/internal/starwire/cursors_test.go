package starwire

import (
	"encoding/json"
	"fmt"
	"reflect"
	"testing"
)

func hello(epoch string, heads map[string]StreamHead) Hello {
	return Hello{Player: "1", Epoch: epoch, Streams: heads}
}

func push(stream string, offset int64) Push { return Push{Stream: stream, Offset: offset, Event: "x"} }

// greeted is after a first hello: player:1 at 3, all at 0, universe:1 at 10.
func greeted() *cursors {
	c := newCursors()
	c.resume(256)
	c.hello(hello("e", map[string]StreamHead{"player:1": {3, true}, "all": {0, true}, "universe:1": {10, true}}))
	return c
}

func TestAPushIsNewOnceAndInOrder(t *testing.T) {
	c := greeted()
	var got []verdict
	for _, offset := range []int64{10, 11, 11, 12, 14, 13, 14} {
		v, _, _ := c.push(push("universe:1", offset))
		got = append(got, v)
	}
	want := []verdict{isOld, isNew, isOld, isNew, isGap, isNew, isNew}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestTheSameGapTwiceIsAJump(t *testing.T) {
	c := greeted()
	if v, _, _ := c.push(push("universe:1", 15)); v != isGap {
		t.Fatal(v)
	}
	c.resume(256)
	c.hello(hello("e", map[string]StreamHead{"universe:1": {19, true}}))
	v, before, _ := c.push(push("universe:1", 15))
	if v != isNew || !reflect.DeepEqual(before, []Jump{{Stream: "universe:1", Offset: 14}}) {
		t.Error(v, before)
	}
}

func TestWithoutACursorAPushIsDroppedAndAfterNothingAGapIsAJump(t *testing.T) {
	c := greeted()
	if v, _, _ := c.push(push("universe:2", 1)); v != isOld {
		t.Error(v)
	}
	v, before, _ := c.push(push("all", 5))
	if v != isNew || !reflect.DeepEqual(before, []Jump{{Stream: "all", Offset: 4}}) {
		t.Error(v, before)
	}
}

func TestWhatHelloSaysOfStreams(t *testing.T) {
	for name, c := range map[string]struct {
		limit int
		epoch string
		heads map[string]StreamHead
		jumps string
		heard int64 // of universe:1; -1: not at all
	}{
		"recovered":     {256, "e", map[string]StreamHead{"player:1": {5, true}, "all": {0, true}, "universe:1": {20, true}}, "[]", 10},
		"not recovered": {256, "e", map[string]StreamHead{"player:1": {5, true}, "all": {0, true}, "universe:1": {20, false}}, "[{universe:1 20 false}]", 20},
		"not asked for": {2, "e", map[string]StreamHead{"player:1": {5, true}, "all": {0, true}, "universe:1": {20, true}}, "[{universe:1 20 false}]", 20},
		"not heard":     {256, "e", map[string]StreamHead{"player:1": {5, true}, "all": {0, true}}, "[{universe:1 0 true}]", -1},
		"a new one":     {256, "e", map[string]StreamHead{"player:1": {5, true}, "all": {0, true}, "universe:1": {10, true}, "z": {4, true}}, "[{z 4 false}]", 10},
		"other history": {256, "f", map[string]StreamHead{"universe:1": {2, false}}, "[{all 0 true} {player:1 0 true} {universe:1 2 false}]", 2},
	} {
		cursors := greeted()
		cursors.resume(c.limit)
		newHistory, jumps := cursors.hello(hello(c.epoch, c.heads))
		if fmt.Sprint(jumps) != c.jumps || newHistory != (c.epoch == "f") {
			t.Errorf("%s: %v", name, jumps)
		}
		if heard, ok := cursors.heard["universe:1"]; ok && heard != c.heard || !ok && c.heard != -1 {
			t.Errorf("%s: at %d", name, heard)
		}
	}
}

func TestAResyncAfterHelloRepeatsItAndALaterOneIsAJump(t *testing.T) {
	c := greeted()
	c.resume(256)
	c.hello(hello("e", map[string]StreamHead{"universe:1": {20, false}}))
	if jumps := c.resync("universe:1", 20); jumps != nil {
		t.Error(jumps)
	}
	c.push(push("universe:1", 21))
	if jumps := c.resync("universe:1", 30); !reflect.DeepEqual(jumps, []Jump{{Stream: "universe:1", Offset: 30}}) {
		t.Error(jumps)
	}
	if v, _, _ := c.push(push("universe:1", 31)); v != isNew {
		t.Error(v)
	}
}

func TestAfterZeroTheFirstOffsetMayBeAny(t *testing.T) {
	c := greeted()
	c.resume(256)
	c.hello(hello("e", map[string]StreamHead{"all": {700, true}}))
	for offset, want := range map[int64]verdict{500: isNew} {
		if v, _, _ := c.push(push("all", offset)); v != want {
			t.Errorf("%d: %v", offset, v)
		}
	}
	if v, _, _ := c.push(push("all", 502)); v != isGap {
		t.Error(v)
	}
}

func TestMembershipMovesCursorsUnlessItIsHistory(t *testing.T) {
	say := func(c *cursors, offset int64, event, stream string, at int64) []Jump {
		data, _ := json.Marshal(map[string]any{"stream": stream, "offset": at})
		_, _, after := c.push(Push{Stream: "player:1", Offset: offset, Event: event, Data: data})
		return after
	}
	c := greeted()
	c.settled = 4
	if jumps := say(c, 4, "unsubscribed", "universe:1", 0); jumps != nil || c.heard["universe:1"] != 10 {
		t.Error("history moved a cursor", jumps)
	}
	if jumps := say(c, 5, "subscribed", "universe:1", 8); jumps != nil || c.heard["universe:1"] != 10 {
		t.Error("a cursor went back", jumps)
	}
	if jumps := say(c, 6, "subscribed", "universe:2", 8); len(jumps) != 1 || c.heard["universe:2"] != 8 {
		t.Error("a new stream has no cursor", jumps)
	}
	if jumps := say(c, 7, "unsubscribed", "universe:1", 0); len(jumps) != 1 || !jumps[0].Gone {
		t.Error("a stream was not forgotten", jumps)
	}
	if _, still := c.heard["universe:1"]; still {
		t.Error("a stream was not forgotten")
	}
}
