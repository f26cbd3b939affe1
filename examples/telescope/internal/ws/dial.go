package ws

import (
	"bufio"
	"context"
	"crypto/rand"
	"crypto/sha1"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

const (
	handshakeBytes = 64 << 10
	guid           = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
)

// Refused is a handshake that was answered with something else than a WebSocket.
type Refused struct {
	Status     int
	RetryAfter string // the header, as it was sent
}

func (r *Refused) Error() string {
	return fmt.Sprintf("the handshake was refused with %d %s", r.Status, http.StatusText(r.Status))
}

// Dial opens a connection to a ws or wss address with the one subprotocol. The context bounds the handshake only.
func Dial(ctx context.Context, address, subprotocol string, limit int) (*Conn, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, err
	}
	raw, err := connect(ctx, u)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { raw.SetDeadline(time.Now()) })
	bounded := &io.LimitedReader{R: &patientReader{conn: raw}, N: handshakeBytes}
	reader := bufio.NewReader(bounded)
	if err := shakeHands(raw, reader, u, subprotocol); err != nil {
		raw.Close()
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, err
	}
	if !stop() {
		raw.Close()
		return nil, ctx.Err()
	}
	bounded.N = math.MaxInt64
	return newConn(raw, bounded.R.(*patientReader), reader, limit), nil
}

func connect(ctx context.Context, u *url.URL) (net.Conn, error) {
	port := u.Port()
	switch u.Scheme {
	case "ws":
		if port == "" {
			port = "80"
		}
		return new(net.Dialer).DialContext(ctx, "tcp", net.JoinHostPort(u.Hostname(), port))
	case "wss":
		if port == "" {
			port = "443"
		}
		dialer := &tls.Dialer{Config: &tls.Config{ServerName: u.Hostname(), NextProtos: []string{"http/1.1"}}}
		return dialer.DialContext(ctx, "tcp", net.JoinHostPort(u.Hostname(), port))
	}
	return nil, fmt.Errorf("%q is neither ws nor wss", u.Scheme)
}

func shakeHands(w io.Writer, r *bufio.Reader, u *url.URL, subprotocol string) error {
	var nonce [16]byte
	if _, err := rand.Read(nonce[:]); err != nil {
		return err
	}
	key := base64.StdEncoding.EncodeToString(nonce[:])
	request := &http.Request{Method: http.MethodGet, URL: u, Host: u.Host, Header: http.Header{
		"Upgrade":                {"websocket"},
		"Connection":             {"Upgrade"},
		"Sec-WebSocket-Key":      {key},
		"Sec-WebSocket-Version":  {"13"},
		"Sec-WebSocket-Protocol": {subprotocol},
	}}
	if err := request.Write(w); err != nil {
		return err
	}
	response, err := http.ReadResponse(r, request)
	if err != nil {
		return err
	}
	return check(response, key, subprotocol)
}

func check(response *http.Response, key, subprotocol string) error {
	header := response.Header
	if response.StatusCode != http.StatusSwitchingProtocols {
		return &Refused{response.StatusCode, header.Get("Retry-After")}
	}
	sum := sha1.Sum([]byte(key + guid))
	switch {
	case !strings.EqualFold(header.Get("Upgrade"), "websocket"), !hasToken(header["Connection"], "upgrade"):
		return fmt.Errorf("the server agrees to something else than a WebSocket")
	case header.Get("Sec-WebSocket-Accept") != base64.StdEncoding.EncodeToString(sum[:]):
		return fmt.Errorf("the server's Sec-WebSocket-Accept is wrong")
	case header.Get("Sec-WebSocket-Extensions") != "":
		return fmt.Errorf("the server agrees to an extension that was not offered")
	case header.Get("Sec-WebSocket-Protocol") != subprotocol:
		return fmt.Errorf("the server does not speak %s", subprotocol)
	}
	return nil
}

func hasToken(values []string, token string) bool {
	for _, value := range values {
		for _, part := range strings.Split(value, ",") {
			if strings.EqualFold(strings.TrimSpace(part), token) {
				return true
			}
		}
	}
	return false
}
