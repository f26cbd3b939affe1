package ws

import (
	"bufio"
	"context"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// pair is a connection whose other side the test plays.
func pair(t *testing.T, limit int) (*Conn, net.Conn) {
	t.Helper()
	ours, theirs := net.Pipe()
	input := &patientReader{conn: ours}
	t.Cleanup(func() { ours.Close(); theirs.Close() })
	return newConn(ours, input, bufio.NewReader(input), limit), theirs
}

// heard reads one frame of a client.
func heard(t *testing.T, r io.Reader) (opcode, string) {
	t.Helper()
	head := make([]byte, 6)
	if _, err := io.ReadFull(r, head); err != nil {
		t.Fatal(err)
	}
	if head[1]&maskBit == 0 || head[1]&^maskBit >= length16 {
		t.Fatalf("the head is % x", head)
	}
	payload := make([]byte, head[1]&^maskBit)
	if _, err := io.ReadFull(r, payload); err != nil {
		t.Fatal(err)
	}
	mask(payload, [4]byte(head[2:]))
	return opcode(head[0] & 0x0F), string(payload)
}

func TestFragmentsAreJoinedAndAPingBetweenThemIsAnswered(t *testing.T) {
	conn, server := pair(t, 100)
	pong := make(chan string, 1)
	go func() {
		server.Write(served(0x01, []byte("Her\xc3")))
		server.Write(served(0x89, []byte("there?")))
		op, payload := heard(t, server)
		pong <- fmt.Sprintf("%d %s", op, payload)
		server.Write(served(0x00, []byte("\xa9 be ")))
		server.Write(served(0x80, []byte("dragons")))
	}()
	message, err := conn.Read()
	if err != nil || string(message) != "Heré be dragons" {
		t.Errorf("%q, %v", message, err)
	}
	if got := <-pong; got != "10 there?" {
		t.Error(got)
	}
}

func TestABreachIsAnsweredWithItsCode(t *testing.T) {
	for name, c := range map[string]struct {
		frames [][]byte
		code   int
	}{
		"fragments that are too large together": {[][]byte{served(0x01, make([]byte, 60)), served(0x80, make([]byte, 60))}, TooBig},
		"a text within a text":                  {[][]byte{served(0x01, nil), served(0x81, nil)}, ProtocolError},
		"a continuation of nothing":             {[][]byte{served(0x80, nil)}, ProtocolError},
		"a text that is not UTF-8":              {[][]byte{served(0x81, []byte{0xFF})}, InvalidPayload},
		"a binary message":                      {[][]byte{served(0x82, nil)}, Unsupported},
		"a close code of one byte":              {[][]byte{served(0x88, []byte{3})}, ProtocolError},
	} {
		conn, server := pair(t, 100)
		answer := make(chan int, 1)
		go func() {
			for _, frame := range c.frames {
				server.Write(frame)
			}
			_, payload := heard(t, server)
			answer <- int(payload[0])<<8 | int(payload[1])
		}()
		_, err := conn.Read()
		var closed *Closed
		if !errors.As(err, &closed) || closed.Code != Lost {
			t.Errorf("%s: %v", name, err)
		}
		if got := <-answer; got != c.code {
			t.Errorf("%s: answered with %d", name, got)
		}
	}
}

func TestACloseIsEchoedAndNothingFollowsIt(t *testing.T) {
	conn, server := pair(t, 100)
	echo := make(chan string, 1)
	go func() {
		server.Write(served(0x88, closePayload(4403, "refused")))
		_, payload := heard(t, server)
		echo <- payload
	}()
	_, err := conn.Read()
	var closed *Closed
	if !errors.As(err, &closed) || closed.Code != 4403 || closed.Reason != "refused" {
		t.Error(err)
	}
	if got := <-echo; got != "\x11\x33" {
		t.Errorf("% x", got)
	}
	if err := conn.Write([]byte("{}")); !errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}
}

func TestASilentServerIsLost(t *testing.T) {
	conn, server := pair(t, 100)
	conn.Patience(20 * time.Millisecond)
	go server.Write(served(0x81, []byte("{}"))[:1]) // half a head, and no more
	_, err := conn.Read()
	var closed *Closed
	if !errors.As(err, &closed) || closed.Code != Lost {
		t.Error(err)
	}
}

func TestHandshakes(t *testing.T) {
	accept := func(key string) string {
		sum := sha1.Sum([]byte(key + guid))
		return base64.StdEncoding.EncodeToString(sum[:])
	}
	for name, c := range map[string]struct {
		answer string // %s: the right Sec-WebSocket-Accept
		want   string
	}{
		"a good one":        {"101 x|Upgrade: WebSocket|Connection: keep-alive, Upgrade|Sec-WebSocket-Accept: %s|Sec-WebSocket-Protocol: starwire.v1", "<nil>"},
		"a wrong key":       {"101 x|Upgrade: websocket|Connection: Upgrade|Sec-WebSocket-Accept: no%s", "Accept is wrong"},
		"another protocol":  {"101 x|Upgrade: websocket|Connection: Upgrade|Sec-WebSocket-Accept: %s|Sec-WebSocket-Protocol: chat", "does not speak"},
		"an extension":      {"101 x|Upgrade: websocket|Connection: Upgrade|Sec-WebSocket-Accept: %s|Sec-WebSocket-Extensions: permessage-deflate", "extension"},
		"no upgrade":        {"101 x|Upgrade: h2c|Connection: Upgrade|Sec-WebSocket-Accept: %s", "something else"},
		"a refusal":         {"503 x|Retry-After: 7|X: %s", "503"},
		"not HTTP":          {"", "malformed HTTP"},
		"an endless header": {"101 x|X: " + strings.Repeat("x", handshakeBytes) + "%s", "EOF"},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			raw, _, _ := w.(http.Hijacker).Hijack()
			defer raw.Close()
			answer := "SSH-2.0\n\n"
			if c.answer != "" {
				answer = "HTTP/1.1 " + fmt.Sprintf(c.answer, accept(r.Header.Get("Sec-WebSocket-Key"))) + "||"
			}
			io.WriteString(raw, strings.ReplaceAll(answer, "|", "\r\n"))
		}))
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		conn, err := Dial(ctx, "ws"+strings.TrimPrefix(server.URL, "http")+"/ws", "starwire.v1", 100)
		if got := fmt.Sprint(err); !strings.Contains(got, c.want) {
			t.Errorf("%s: %s", name, got)
		}
		var refused *Refused
		if errors.As(err, &refused) && refused.RetryAfter != "7" {
			t.Errorf("%s: %+v", name, refused)
		}
		if conn != nil {
			conn.Drop()
		}
		cancel()
		server.Close()
	}
}
