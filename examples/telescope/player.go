package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"telescope/internal/starwire"
)

// Player plays: it reads lines of words, does what they say, and reports what is seen. It belongs to one goroutine.
type Player struct {
	client *starwire.Client
	report Reporter
	always func(status string) // the line below everything else; nil for none

	universe   int64
	chart      *Chart
	charts     *starwire.Watch // of the universe; nil while there is none
	countdowns Countdowns
	processes  *starwire.Watch

	mine     map[string]string // commands of the lines that have no answer yet: id → command
	happened map[string]int    // events that no `await` has taken yet
	until    func() bool       // what the lines wait for; nil for nothing
	online   bool
}

func newPlayer(client *starwire.Client, report Reporter) *Player {
	p := &Player{client: client, report: report, countdowns: Countdowns{},
		mine: map[string]string{}, happened: map[string]int{}}
	p.processes = starwire.NewWatch(p.countdowns.load, p.countdowns.apply)
	return p
}

var errQuit = errors.New("quit")

// play goes on until the lines or the client end.
func (p *Player) play(ctx context.Context, lines <-chan string) error {
	ticks := time.NewTicker(250 * time.Millisecond)
	defer ticks.Stop()
	for {
		p.look()
		if p.until != nil && p.until() {
			p.until = nil
		}
		next := lines
		if p.until != nil {
			next = nil
		}
		select {
		case e, ok := <-p.client.Events():
			if !ok {
				return nil
			}
			p.see(e)
		case line, ok := <-next:
			if !ok {
				return nil
			}
			if err := p.obey(line); errors.Is(err, errQuit) {
				return nil
			} else if err != nil {
				p.report.Report("wrong", fields{"text": err.Error()})
			}
		case <-ticks.C:
			if p.always != nil {
				p.always(p.status())
			}
		case <-ctx.Done():
			return nil
		}
	}
}

// look asks the views whose state is not true.
func (p *Player) look() {
	if !p.online {
		return
	}
	if p.processes.Stale() {
		p.ask(p.processes, "processes", nil)
	}
	if p.charts != nil && p.charts.Stale() {
		p.ask(p.charts, "universe", fields{"universe": p.universe})
	}
}

func (p *Player) ask(w *starwire.Watch, view string, args any) {
	if id, err := p.client.Do(view, args); err == nil {
		w.Asked(id)
	}
}

// enter makes a universe the one that is played.
func (p *Player) enter(universe int64) {
	if p.universe == universe {
		return
	}
	p.universe, p.chart = universe, nil
	p.charts = starwire.NewWatch(p.loadChart, func(push starwire.Push) {
		if p.chart != nil && !p.chart.apply(push) {
			p.charts.Invalidate()
		}
	})
}

func (p *Player) leave(universe int64) {
	if p.universe == universe {
		p.universe, p.chart, p.charts = 0, nil, nil
	}
}

func (p *Player) loadChart(result json.RawMessage) error {
	chart := new(Chart)
	if err := json.Unmarshal(result, chart); err != nil {
		return err
	}
	p.chart = chart
	return nil
}

// see takes one event of the client.
func (p *Player) see(e starwire.Event) {
	switch e := e.(type) {
	case starwire.Opened:
		p.opened(e)
	case starwire.Sent:
		if _, mine := p.mine[e.ID]; mine {
			p.report.Report("sent", fields{"id": e.ID, "command": e.Command, "again": e.Again})
		}
	case starwire.Reply:
		p.reply(e)
	case starwire.Push:
		p.push(e)
	case starwire.Jump:
		p.report.Report("jump", fields{"stream": e.Stream, "offset": e.Offset, "gone": e.Gone})
		for _, w := range p.watches() {
			w.Jump(e)
		}
		p.processes.Invalidate() // it tells of all streams that are heard, and these may have changed
	case starwire.Late:
		p.report.Report("late", fields{"seconds": e.Seconds})
	case starwire.Goodbye:
		p.report.Report("goodbye", fields{"reason": e.Reason, "after": e.After.Seconds()})
	case starwire.Refreshed:
		p.report.Report("refreshed", fields{"expires_at": e.ExpiresAt})
	case starwire.Closed:
		p.online = false
		p.report.Report("closed", fields{"code": e.Code, "why": fmt.Sprint(e.Err), "wait": e.Wait.Seconds()})
	}
}

func (p *Player) watches() []*starwire.Watch {
	if p.charts == nil {
		return []*starwire.Watch{p.processes}
	}
	return []*starwire.Watch{p.processes, p.charts}
}

func (p *Player) opened(e starwire.Opened) {
	p.online = true
	p.report.Report("hello", fields{"player": e.Player, "name": e.Name, "streams": e.Streams,
		"new_history": e.NewHistory})
	if e.NewHistory {
		p.leave(p.universe)
		p.processes.Void()
	}
	if p.universe == 0 {
		p.client.Do("universes", nil)
	}
}

func (p *Player) push(e starwire.Push) {
	p.happened[e.Event]++
	p.report.Report("push", fields{"stream": e.Stream, "offset": e.Offset, "event": e.Event, "at": e.At,
		"data": e.Data, "message": e.Message})
	for _, w := range p.watches() {
		w.Push(e)
	}
	var data struct {
		Universe int64 `json:"universe"`
	}
	if json.Unmarshal(e.Data, &data) == nil && e.Event == "universe_closed" {
		p.leave(data.Universe)
	}
}

func (p *Player) reply(r starwire.Reply) {
	for _, w := range p.watches() {
		if mine, err := w.Reply(r); mine {
			if err != nil {
				p.report.Report("wrong", fields{"text": err.Error()})
			}
			return
		}
	}
	if r.OK && (r.Command == "create_universe" || r.Command == "join") {
		var entered struct {
			Universe int64 `json:"universe"`
		}
		if json.Unmarshal(r.Result, &entered) == nil {
			p.enter(entered.Universe)
		}
	}
	if r.OK && r.Command == "universes" && p.universe == 0 {
		var all struct {
			Universes []struct {
				Universe int64 `json:"universe"`
			} `json:"universes"`
		}
		if json.Unmarshal(r.Result, &all) == nil && len(all.Universes) > 0 {
			p.enter(all.Universes[len(all.Universes)-1].Universe)
		}
	}
	if _, mine := p.mine[r.ID]; mine {
		delete(p.mine, r.ID)
		f := fields{"id": r.ID, "command": r.Command, "ok": r.OK, "result": r.Result}
		if !r.OK {
			f["code"], f["message"], f["reason"] = r.Error.Code, r.Error.Message, r.Error.Reason
		}
		p.report.Report("reply", f)
	}
}

// status is the line that is always there.
func (p *Player) status() string {
	now := p.client.Clock().Now()
	parts := []string{"offline"}
	if p.online {
		parts[0] = "online"
	}
	if n := p.client.Waiting(); n > 0 {
		parts = append(parts, fmt.Sprintf("%d unanswered", n))
	}
	if p.chart != nil {
		for _, planet := range p.chart.Planets {
			metal, crystal := planet.Resources.Now(now)
			parts = append(parts, fmt.Sprintf("%s: %.0f metal, %.0f crystal", planet.Name, metal, crystal))
		}
	}
	return strings.Join(append(parts, p.countdowns.lines(now)...), " | ")
}
