package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"
)

// Reporter tells what was seen: to a program, one JSON object per line, or to a person.
type Reporter interface {
	Report(seen string, fields fields)
}

type fields map[string]any

// jsonLines is for programs.
type jsonLines struct{ to *json.Encoder }

func (r jsonLines) Report(seen string, f fields) {
	line := fields{"seen": seen}
	for name, value := range f {
		line[name] = value
	}
	r.to.Encode(line)
}

// sentences are for people. What nobody wants to read is left out.
type sentences struct{ to io.Writer }

func (r sentences) Report(seen string, f fields) {
	text := ""
	switch seen {
	case "hello":
		text = fmt.Sprintf("Connected as %v.", f["name"])
	case "closed":
		wait, _ := f["wait"].(float64)
		text = fmt.Sprintf("Disconnected (%v); next try in %.1f s.", f["why"], wait)
	case "goodbye":
		text = "The server is about to restart."
	case "late":
		text = fmt.Sprintf("The universe is %.0f seconds behind.", f["seconds"])
	case "push":
		event := f["event"].(string)
		if strings.HasPrefix(event, "process_") || event == "subscribed" || event == "unsubscribed" {
			return
		}
		text = fmt.Sprintf("%s  %s", f["at"].(time.Time).Local().Format(time.TimeOnly), strings.ReplaceAll(event, "_", " "))
		if message, ok := f["message"].(string); ok && message != "" {
			text += ": " + message
		}
	case "reply":
		if f["ok"] == true {
			text = fmt.Sprintf("%v: done. %s", f["command"], f["result"])
		} else {
			text = fmt.Sprintf("%v: %v", f["command"], f["message"])
		}
	case "said", "wrong":
		text = fmt.Sprint(f["text"])
	default:
		return
	}
	fmt.Fprintf(r.to, "\r\x1b[K%s\n", printable(text))
}

// printable keeps control characters of others' texts from the terminal.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' && r != '\n' || r >= 0x7f && r < 0xa0 {
			return '·'
		}
		return r
	}, text)
}
