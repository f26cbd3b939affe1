package main

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"telescope/internal/starwire"
)

func TestResourcesGrowToTheCapacityAndWhatIsAboveStays(t *testing.T) {
	at := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	r := Resources{Metal: 10, Crystal: 120, MetalPerHour: 50, CrystalPerHour: 5, Capacity: 100, At: at}
	for hours, want := range map[int][2]float64{0: {10, 120}, 1: {60, 120}, 9: {100, 120}} {
		metal, crystal := r.Now(at.Add(time.Duration(hours) * time.Hour))
		if metal != want[0] || crystal != want[1] {
			t.Errorf("after %d hours: %v, %v", hours, metal, crystal)
		}
	}
}

func TestEventsChangeTheChart(t *testing.T) {
	c := &Chart{Planets: []Planet{{Planet: 1, Structures: map[string]int{}, Queue: []Construction{{}}}}}
	for _, e := range []struct {
		event, data string
		enough      bool
	}{
		{"construction_complete", `{"planet":1,"structure":"metal_mine","level":2,"queue":[],"resources":{"metal":5}}`, false},
		{"planet_renamed", `{"planet":1,"name":"Home"}`, true},
		{"member_joined", `{"player":"2","name":"Ben"}`, true},
		{"stars_discovered", `{"stars":[{"star":1},{"star":2}]}`, true},
		{"probe_arrived", `{"planet":1,"star":{"star":2,"probed":true},"found":"ice"}`, true},
		{"probe_sent", `{"planet":1,"star":1}`, true},
		{"a_later_version", `[]`, true},
	} {
		if got := c.apply(starwire.Push{Event: e.event, Data: json.RawMessage(e.data)}); got != e.enough {
			t.Errorf("%s: %v", e.event, got)
		}
	}
	p := c.Planets[0]
	if p.Structures["metal_mine"] != 2 || len(p.Queue) != 0 || p.Resources.Metal != 5 || p.Name != "Home" ||
		len(c.Members) != 1 || len(c.Stars) != 2 || !c.Stars[1].Probed {
		t.Errorf("%+v", c)
	}
}

func TestCountdownsFollowProcesses(t *testing.T) {
	c := Countdowns{}
	c.load(json.RawMessage(`{"processes":[{"process":1,"kind":"b","due_at":"2030-01-01T00:01:00Z","state":"pending"}]}`))
	c.apply(starwire.Push{Event: "process_started", Data: json.RawMessage(
		`{"process":2,"kind":"a","due_at":"2030-01-01T00:00:30Z","state":"pending","data":{"level":1}}`)})
	now := time.Date(2030, 1, 1, 0, 0, 10, 0, time.UTC)
	if got := strings.Join(c.lines(now), ", "); got != "a level=1: 20s, b: 50s" {
		t.Error(got)
	}
	c.apply(starwire.Push{Event: "process_completed", Data: json.RawMessage(`{"process":1,"state":"completed"}`)})
	if len(c) != 1 {
		t.Error(c)
	}
}

func TestNothingOfOthersControlsTheTerminal(t *testing.T) {
	if got := printable("a\x1b[2Jb\u009bc"); got != "a·[2Jb·c" {
		t.Error(got)
	}
}
