package main

import (
	"encoding/json"
	"math"
	"time"

	"telescope/internal/starwire"
)

// Chart is a universe as the view `universe` tells it, and as its events change it. Only what is shown is kept.
type Chart struct {
	Universe int64    `json:"universe"`
	Name     string   `json:"name"`
	Pace     int      `json:"pace"`
	Members  []Member `json:"members"`
	Planets  []Planet `json:"planets"`
	Stars    []Star   `json:"stars"`
	Dragons  *Dragons `json:"dragons"`
}

type Member struct {
	Player string `json:"player"`
	Name   string `json:"name"`
}

type Planet struct {
	Planet     int64          `json:"planet"`
	Name       string         `json:"name"`
	Resources  Resources      `json:"resources"`
	Structures map[string]int `json:"structures"`
	Offers     []Offer        `json:"offers"`
	Queue      []Construction `json:"queue"`
}

type Resources struct {
	Metal          float64   `json:"metal"`
	Crystal        float64   `json:"crystal"`
	MetalPerHour   float64   `json:"metal_per_hour"`
	CrystalPerHour float64   `json:"crystal_per_hour"`
	Capacity       float64   `json:"capacity"`
	At             time.Time `json:"at"`
}

type Offer struct {
	Structure string  `json:"structure"`
	Level     int     `json:"level"`
	Metal     int     `json:"metal"`
	Crystal   int     `json:"crystal"`
	Seconds   float64 `json:"seconds"`
	Unlocked  bool    `json:"unlocked"`
	Needs     *string `json:"needs"`
}

type Construction struct {
	Construction int64   `json:"construction"`
	Structure    string  `json:"structure"`
	Level        int     `json:"level"`
	Position     int     `json:"position"`
	Seconds      float64 `json:"seconds"`
	Process      *int64  `json:"process"`
}

type Star struct {
	Star   int64  `json:"star"`
	Name   string `json:"name"`
	Home   bool   `json:"home"`
	Probed bool   `json:"probed"`
}

type Dragons struct {
	ArrivesAt time.Time `json:"arrives_at"`
	Strength  int       `json:"strength"`
}

// Now is what there is at a time: what is above capacity stays, but does not grow.
func (r Resources) Now(t time.Time) (metal, crystal float64) {
	hours := t.Sub(r.At).Hours()
	grown := func(value, rate float64) float64 {
		return math.Max(value, math.Min(r.Capacity, value+rate*hours))
	}
	return grown(r.Metal, r.MetalPerHour), grown(r.Crystal, r.CrystalPerHour)
}

// change has the fields of the universe's events that this chart follows.
type change struct {
	Planet    int64           `json:"planet"`
	Name      string          `json:"name"`
	Player    string          `json:"player"`
	Structure string          `json:"structure"`
	Level     int             `json:"level"`
	Resources *Resources      `json:"resources"`
	Queue     *[]Construction `json:"queue"`
	Stars     []Star          `json:"stars"`
	Star      json.RawMessage `json:"star"` // a number, or all of it
	Dragons
}

// apply makes an event's change. False: only the view tells what else has changed, so it is to be asked again.
func (c *Chart) apply(p starwire.Push) bool {
	var e change
	if json.Unmarshal(p.Data, &e) != nil {
		return true // lifecycle events and whatever later versions add
	}
	planet := c.planet(e.Planet)
	if planet != nil && e.Resources != nil {
		planet.Resources = *e.Resources
	}
	if planet != nil && e.Queue != nil {
		planet.Queue = *e.Queue
	}
	switch p.Event {
	case "construction_complete":
		if planet != nil {
			planet.Structures[e.Structure] = e.Level
		}
		return false // other things are on offer now
	case "construction_queued", "construction_cancelled":
		return false
	case "planet_renamed":
		if planet != nil {
			planet.Name = e.Name
		}
	case "member_joined":
		c.forget(e.Player)
		c.Members = append(c.Members, Member{e.Player, e.Name})
	case "member_left":
		c.forget(e.Player)
	case "stars_discovered":
		for _, star := range e.Stars {
			c.see(star)
		}
	case "probe_arrived":
		var star Star
		if json.Unmarshal(e.Star, &star) == nil {
			c.see(star)
		}
	case "dragons_inbound":
		c.Dragons = &Dragons{e.ArrivesAt, e.Strength}
	case "dragons_repelled", "dragons_raided":
		c.Dragons = nil
	}
	return true
}

func (c *Chart) planet(id int64) *Planet {
	for i := range c.Planets {
		if c.Planets[i].Planet == id {
			return &c.Planets[i]
		}
	}
	return nil
}

func (c *Chart) forget(player string) {
	for i, member := range c.Members {
		if member.Player == player {
			c.Members = append(c.Members[:i], c.Members[i+1:]...)
			return
		}
	}
}

func (c *Chart) see(star Star) {
	for i := range c.Stars {
		if c.Stars[i].Star == star.Star {
			c.Stars[i] = star
			return
		}
	}
	c.Stars = append(c.Stars, star)
}
