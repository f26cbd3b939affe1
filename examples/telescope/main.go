// Telescope plays Here Be Dragons in a terminal, or from a script.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"telescope/internal/starwire"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "telescope:", err)
		os.Exit(1)
	}
}

func run() error {
	account := &starwire.Account{}
	flag.StringVar(&account.URL, "url", "http://127.0.0.1:8000", "the server")
	flag.StringVar(&account.Name, "name", "", "sign in with a name; without one, as a guest")
	flag.StringVar(&account.Password, "password", os.Getenv("TELESCOPE_PASSWORD"), "its password (or TELESCOPE_PASSWORD)")
	flag.BoolVar(&account.Register, "register", false, "the name is a new one")
	flag.StringVar(&account.File, "tokens", "", "a file that keeps the tokens until the next time")
	script := flag.String("script", "", "a file of lines to play, - for standard input; prints JSON")
	flag.Parse()
	if account.Register && account.Name == "" {
		return errors.New("-register wants -name and -password")
	}

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	client := starwire.New(account)
	ended := make(chan error, 1)
	go func() { ended <- client.Run(ctx) }()

	input, player, err := seat(client, *script)
	if err != nil {
		return err
	}
	if player.always != nil {
		fmt.Print("\x1b[2J\x1b[2r\x1b[2;1H") // all but the first line scrolls
		defer fmt.Print("\x1b[r\x1b[999;1H\n")
	}
	if err := player.play(ctx, linesOf(input)); err != nil {
		return err
	}
	stop()
	for range client.Events() {
	}
	if err := <-ended; !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// seat chooses between the terminal and a script.
func seat(client *starwire.Client, script string) (io.Reader, *Player, error) {
	switch script {
	case "":
		player := newPlayer(client, sentences{os.Stdout})
		if isTerminal(os.Stdout) {
			player.always = statusLine
		}
		return os.Stdin, player, nil
	case "-":
		return os.Stdin, newPlayer(client, jsonLines{json.NewEncoder(os.Stdout)}), nil
	}
	file, err := os.Open(script)
	return file, newPlayer(client, jsonLines{json.NewEncoder(os.Stdout)}), err
}

func isTerminal(file *os.File) bool {
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// statusLine writes the first line of the screen, and leaves alone what is being typed below.
func statusLine(status string) {
	fmt.Printf("\x1b7\x1b[1;1H\x1b[?7l\x1b[K%s\x1b[?7h\x1b8", printable(status))
}

func linesOf(input io.Reader) <-chan string {
	lines := make(chan string)
	go func() {
		defer close(lines)
		for scanner := bufio.NewScanner(input); scanner.Scan(); {
			lines <- scanner.Text()
		}
	}()
	return lines
}
