package starwire

import (
	"bufio"
	"context"
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"reflect"
	"testing"
	"time"
)

// peer is a server's side of one connection, played by a test.
type peer struct {
	t     *testing.T
	raw   net.Conn
	r     *bufio.Reader
	hello map[string]any
}

// read returns the next text as it is, and as JSON, or nothing at the end; the clock's pings are left out.
func (p *peer) read() (string, map[string]any) {
	for {
		head := make([]byte, 2)
		if _, err := io.ReadFull(p.r, head); err != nil {
			return "", nil
		}
		n := int(head[1] & 0x7f)
		if n == 126 {
			long := make([]byte, 2)
			io.ReadFull(p.r, long)
			n = int(binary.BigEndian.Uint16(long))
		}
		b := make([]byte, 4+n)
		io.ReadFull(p.r, b)
		for i := range b[4:] {
			b[4+i] ^= b[i%4]
		}
		var frame map[string]any
		if head[0] == 0x81 && json.Unmarshal(b[4:], &frame) == nil && frame["command"] != "ping" {
			return string(b[4:]), frame
		}
	}
}

func (p *peer) write(op byte, payload string) {
	head := []byte{0x80 | op, byte(len(payload))}
	if len(payload) > 125 {
		head = binary.BigEndian.AppendUint16([]byte{0x80 | op, 126}, uint16(len(payload)))
	}
	p.raw.Write(append(head, payload...))
}

func (p *peer) say(format string, args ...any) { p.write(1, fmt.Sprintf(format, args...)) }

func (p *peer) close(code uint16) { p.write(8, string(binary.BigEndian.AppendUint16(nil, code))) }

// greet answers hello.
func (p *peer) greet(streams string) {
	p.say(`{"type":"reply","id":%q,"command":"hello","ok":true,"result":{"player":"1","epoch":"e","streams":%s,`+
		`"server_time":"2030-01-01T00:00:00.000000Z","limits":{"frame_bytes":65536,"commands_in_flight":64,`+
		`"resume_streams":256,"ping_seconds":20}}}`, p.hello["id"], streams)
}

// playing runs a client against connections that are played one after another.
func playing(t *testing.T, connections ...func(*peer)) (*Client, <-chan error) {
	t.Helper()
	tokens, turn := 0, 0
	mux := http.NewServeMux()
	sign := func(w http.ResponseWriter, r *http.Request) {
		tokens++
		fmt.Fprintf(w, `{"player":"1","access_token":"t%d","refresh_token":"r%d","expires_in":900}`, tokens, tokens)
	}
	mux.HandleFunc("/auth/guest", sign)
	mux.HandleFunc("/auth/refresh", sign)
	mux.HandleFunc("/ws", func(w http.ResponseWriter, r *http.Request) {
		if turn == len(connections) {
			http.Error(w, "no more", http.StatusServiceUnavailable)
			return
		}
		turn++
		raw, buffered, _ := w.(http.Hijacker).Hijack()
		defer raw.Close()
		raw.SetDeadline(time.Now().Add(5 * time.Second))
		sum := sha1.Sum([]byte(r.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
		fmt.Fprintf(raw, "HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Protocol: starwire.v1\r\n"+
			"Sec-WebSocket-Accept: %s\r\n\r\n", base64.StdEncoding.EncodeToString(sum[:]))
		p := &peer{t: t, raw: raw, r: buffered.Reader}
		_, p.hello = p.read()
		connections[turn-1](p)
	})
	server := httptest.NewServer(mux)
	ctx, cancel := context.WithCancel(context.Background())
	client, ended := New(&Account{URL: server.URL}), make(chan error, 1)
	go func() { ended <- client.Run(ctx) }()
	t.Cleanup(func() { cancel(); server.CloseClientConnections(); server.Close() })
	return client, ended
}

// next waits for an event of one type; others pass by.
func next[E Event](t *testing.T, c *Client) E {
	t.Helper()
	timeout := time.After(5 * time.Second)
	for {
		select {
		case e, ok := <-c.Events():
			if wanted, is := e.(E); is {
				return wanted
			}
			if !ok {
				t.Fatal("the client has ended")
			}
		case <-timeout:
			var wanted E
			t.Fatalf("no %T came", wanted)
		}
	}
}

func argument(p *peer, name string) any { return p.hello["args"].(map[string]any)[name] }

func TestAfterALossTheSameTextIsSentAgainAndStreamsAreResumed(t *testing.T) {
	texts := make(chan string, 2)
	c, _ := playing(t, func(p *peer) {
		p.greet(`{"player:1":{"offset":3,"recovered":true}}`)
		p.say(`{"type":"push","stream":"player:1","offset":4,"event":"x","at":"2030-01-01T00:00:00Z","data":{}}`)
		text, _ := p.read()
		texts <- text
	}, func(p *peer) {
		if got := argument(p, "resume"); !reflect.DeepEqual(got, map[string]any{"player:1": 4.0}) || argument(p, "epoch") != "e" {
			t.Error(p.hello)
		}
		p.greet(`{"player:1":{"offset":4,"recovered":true}}`)
		text, frame := p.read()
		texts <- text
		p.say(`{"type":"reply","id":%q,"command":"plant","ok":true,"result":7}`, frame["id"])
		p.read()
	})
	id, err := c.Do("plant", map[string]int{"seconds": 1})
	if err != nil {
		t.Fatal(err)
	}
	if reply := next[Reply](t, c); reply.ID != id || string(reply.Result) != "7" {
		t.Error(reply)
	}
	if first, second := <-texts, <-texts; first != second {
		t.Errorf("%s, then %s", first, second)
	}
	c.Do("bye", nil)
}

func TestAnExpiredTokenIsReplacedAtOnceAndARefusedOneEndsIt(t *testing.T) {
	refused := func(p *peer) {
		p.say(`{"type":"reply","id":%q,"command":"hello","ok":false,"error":{"code":"unauthorized","message":"no","retry":false}}`,
			p.hello["id"])
	}
	c, ended := playing(t, func(p *peer) {
		refused(p)
		p.close(4401)
	}, func(p *peer) {
		if argument(p, "token") != "t2" {
			t.Error(p.hello)
		}
		refused(p)
		p.close(4403)
	})
	if closed := next[Closed](t, c); closed.Code != 4401 || closed.Wait != 0 {
		t.Error(closed)
	}
	if closed := next[Closed](t, c); closed.Code != 4403 {
		t.Error(closed)
	}
	var refusal *Error
	if err := <-ended; !errors.As(err, &refusal) || refusal.Code != "unauthorized" {
		t.Error(err)
	}
}

func TestAfterGoodbyeNothingNewIsSentAndTheAdvisedTimeIsKept(t *testing.T) {
	said := make(chan struct{})
	c, _ := playing(t, func(p *peer) {
		p.greet(`{}`)
		_, frame := p.read()
		p.say(`{"type":"goodbye","reason":"restart","reconnect_after":0.1}`)
		<-said
		p.say(`{"type":"reply","id":%q,"command":"first","ok":true,"result":null}`, frame["id"])
		p.close(1012)
		if text, _ := p.read(); text != "" {
			t.Error(text)
		}
	}, func(p *peer) {
		p.greet(`{}`)
		_, frame := p.read()
		p.say(`{"type":"reply","id":%q,"command":%q,"ok":true,"result":null}`, frame["id"], frame["command"])
	})
	c.Do("first", nil)
	if goodbye := next[Goodbye](t, c); goodbye.After != 100*time.Millisecond {
		t.Error(goodbye)
	}
	c.Do("second", nil)
	close(said)
	if reply := next[Reply](t, c); reply.Command != "first" {
		t.Error(reply)
	}
	if closed := next[Closed](t, c); closed.Code != 1012 || closed.Wait != 100*time.Millisecond {
		t.Error(closed)
	}
	if reply := next[Reply](t, c); reply.Command != "second" {
		t.Error(reply)
	}
}

func TestATokenIsRefreshedInPlace(t *testing.T) {
	c, _ := playing(t, func(p *peer) {
		p.greet(`{}`)
		p.say(`{"type":"status","token_expires_in":58.3}`)
		_, frame := p.read()
		if frame["command"] != "refresh" || !reflect.DeepEqual(frame["args"], map[string]any{"token": "t2"}) {
			t.Error(frame)
		}
		p.say(`{"type":"reply","id":%q,"command":"refresh","ok":true,"result":{"expires_at":null}}`, frame["id"])
		p.read()
	})
	if refreshed := next[Refreshed](t, c); refreshed.ExpiresAt != nil {
		t.Error(refreshed)
	}
	c.Do("bye", nil)
}

func TestAGapIsAskedForOnceMoreAndThenJumped(t *testing.T) {
	gap := func(p *peer) {
		p.greet(`{"player:1":{"offset":3,"recovered":true}}`)
		p.say(`{"type":"push","stream":"player:1","offset":6,"event":"x","at":"2030-01-01T00:00:00Z","data":{}}`)
		p.close(1000)
	}
	c, _ := playing(t, gap, gap)
	next[Jump](t, c) // of the first hello
	next[Closed](t, c)
	if jump := next[Jump](t, c); jump.Stream != "player:1" || jump.Offset != 5 {
		t.Error(jump)
	}
	if push := next[Push](t, c); push.Offset != 6 {
		t.Error(push)
	}
}
