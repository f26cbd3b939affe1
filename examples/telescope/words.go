package main

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

const help = `found NAME [1|60|3600]   a universe of one's own, at a pace
build STRUCTURE          one more level of it
cancel CONSTRUCTION      take an order back
probe STAR               send a probe
rename NAME              call the planet something else
invite, join CODE, leave a crew
look                     what there is
send COMMAND [JSON]      any command or view
await EVENT              until it has come (for scripts)
await replies|chart      until all is answered; until the chart is true
quit`

// obey does what one line says.
func (p *Player) obey(line string) error {
	word, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
	rest = strings.TrimSpace(rest)
	switch word {
	case "":
		return nil
	case "quit":
		return errQuit
	case "help":
		p.report.Report("said", fields{"text": help})
		return nil
	case "found":
		return p.found(rest)
	case "join":
		return p.send("join", fields{"invitation": rest})
	case "send":
		command, args, _ := strings.Cut(rest, " ")
		if args = strings.TrimSpace(args); args == "" {
			args = "{}"
		}
		if !json.Valid([]byte(args)) {
			return fmt.Errorf("%s is no JSON", args)
		}
		return p.send(command, json.RawMessage(args))
	case "await":
		return p.await(rest)
	}
	if p.chart == nil || len(p.chart.Planets) == 0 {
		return fmt.Errorf("there is no universe yet: found one, or %q", "help")
	}
	return p.obeyHere(word, rest)
}

// obeyHere does what needs a universe.
func (p *Player) obeyHere(word, rest string) error {
	planet := p.chart.Planets[0].Planet
	switch word {
	case "build":
		return p.send("build", fields{"universe": p.universe, "planet": planet, "structure": rest})
	case "cancel":
		return p.sendNumber("cancel_construction", "construction", rest)
	case "probe":
		return p.sendNumber("send_probe", "star", rest)
	case "rename":
		return p.send("rename_planet", fields{"universe": p.universe, "planet": planet, "name": rest})
	case "invite", "leave":
		return p.send(word, fields{"universe": p.universe})
	case "look":
		p.report.Report("chart", fields{"chart": p.chart, "processes": p.countdowns})
		p.report.Report("said", fields{"text": p.describe()})
		return nil
	}
	return fmt.Errorf("%q is not a word of mine; try %q", word, "help")
}

func (p *Player) found(rest string) error {
	name, pace := rest, 1
	if at := strings.LastIndex(rest, " "); at > 0 {
		if number, err := strconv.Atoi(rest[at+1:]); err == nil {
			name, pace = strings.TrimSpace(rest[:at]), number
		}
	}
	return p.send("create_universe", fields{"name": name, "pace": pace})
}

func (p *Player) sendNumber(command, argument, text string) error {
	number, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return fmt.Errorf("%s wants a number", argument)
	}
	return p.send(command, fields{"universe": p.universe, argument: number})
}

func (p *Player) send(command string, args any) error {
	id, err := p.client.Do(command, args)
	if err != nil {
		return err
	}
	p.mine[id] = command
	return nil
}

// await lets the following lines wait.
func (p *Player) await(what string) error {
	switch what {
	case "":
		return fmt.Errorf("await what?")
	case "replies":
		p.until = func() bool { return len(p.mine) == 0 }
	case "chart":
		p.until = func() bool { return p.charts != nil && p.charts.True() && p.processes.True() }
	default:
		p.until = func() bool {
			if p.happened[what] == 0 {
				return false
			}
			p.happened[what]--
			return true
		}
	}
	return nil
}

func (p *Player) describe() string {
	now := p.client.Clock().Now()
	var b strings.Builder
	fmt.Fprintf(&b, "%s, pace %d, %d stars, crew of %d", p.chart.Name, p.chart.Pace, len(p.chart.Stars), len(p.chart.Members))
	if d := p.chart.Dragons; d != nil {
		fmt.Fprintf(&b, "\nDragons of strength %d at %s!", d.Strength, d.ArrivesAt.Local().Format("15:04:05"))
	}
	for _, planet := range p.chart.Planets {
		metal, crystal := planet.Resources.Now(now)
		fmt.Fprintf(&b, "\n%s: %.0f metal, %.0f crystal", planet.Name, metal, crystal)
		for _, offer := range planet.Offers {
			fmt.Fprintf(&b, "\n  %-13s level %d, next: %d metal, %d crystal, %.0f s", offer.Structure,
				planet.Structures[offer.Structure], offer.Metal, offer.Crystal, offer.Seconds)
			if !offer.Unlocked && offer.Needs != nil {
				fmt.Fprintf(&b, " (needs %s)", *offer.Needs)
			}
		}
		for _, order := range planet.Queue {
			fmt.Fprintf(&b, "\n  order %d: %s to level %d", order.Construction, order.Structure, order.Level)
		}
	}
	for _, line := range p.countdowns.lines(now) {
		b.WriteString("\n  " + line)
	}
	return b.String()
}
