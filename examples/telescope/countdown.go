package main

import (
	"encoding/json"
	"fmt"
	"sort"
	"strings"
	"time"

	"telescope/internal/starwire"
)

// Process is one that is under way, of whatever game: the view `processes` and lifecycle events tell it alike.
type Process struct {
	Process int64          `json:"process"`
	Kind    string         `json:"kind"`
	DueAt   time.Time      `json:"due_at"`
	State   string         `json:"state"`
	Data    map[string]any `json:"data"`
}

// Countdowns are all that this player may see.
type Countdowns map[int64]Process

func (c Countdowns) load(result json.RawMessage) error {
	var all struct {
		Processes []Process `json:"processes"`
	}
	if err := json.Unmarshal(result, &all); err != nil {
		return err
	}
	clear(c)
	for _, p := range all.Processes {
		c[p.Process] = p
	}
	return nil
}

func (c Countdowns) apply(push starwire.Push) {
	var p Process
	if !strings.HasPrefix(push.Event, "process_") || json.Unmarshal(push.Data, &p) != nil {
		return
	}
	switch p.State {
	case "completed", "cancelled", "failed":
		delete(c, p.Process)
	default:
		c[p.Process] = p
	}
}

// lines are one for each, the next first.
func (c Countdowns) lines(now time.Time) []string {
	all := make([]Process, 0, len(c))
	for _, p := range c {
		all = append(all, p)
	}
	sort.Slice(all, func(i, j int) bool { return all[i].DueAt.Before(all[j].DueAt) })
	lines := make([]string, len(all))
	for i, p := range all {
		left := p.DueAt.Sub(now)
		text := "paused"
		switch {
		case p.State == "paused":
		case left <= 0:
			text = "due"
		default:
			text = left.Truncate(time.Second).String()
		}
		lines[i] = fmt.Sprintf("%s: %s", strings.TrimSpace(p.Kind+" "+brief(p.Data)), text)
	}
	return lines
}

func brief(data map[string]any) string {
	names := make([]string, 0, len(data))
	for name := range data {
		names = append(names, name)
	}
	sort.Strings(names)
	for i, name := range names {
		names[i] = fmt.Sprintf("%s=%v", name, data[name])
	}
	return strings.Join(names, " ")
}
