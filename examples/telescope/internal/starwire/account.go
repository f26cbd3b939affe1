package starwire

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	requestPatience = 10 * time.Second
	answerBytes     = 64 << 10
	tokenMargin     = 5 * time.Second // an access token with less time left is not worth sending
)

// Account signs in and keeps the tokens. Without a name it is a guest's. It is safe for use by many goroutines.
type Account struct {
	URL      string // of the server, http or https
	Name     string
	Password string
	Register bool   // with Name and Password: a new player
	File     string // where the tokens outlive the program; "" for nowhere

	mu     sync.Mutex
	loaded bool
	tokens tokens
}

type tokens struct {
	Server  string    `json:"server"`
	Player  string    `json:"player"`
	Name    string    `json:"name"`
	Access  string    `json:"access_token"`
	Refresh string    `json:"refresh_token"`
	In      float64   `json:"expires_in,omitempty"`
	Expires time.Time `json:"expires"`
}

// HTTPError is an answer of the server that is no success.
type HTTPError struct {
	Status     int
	Code       string
	Message    string
	RetryAfter time.Duration
}

func (e *HTTPError) Error() string {
	return fmt.Sprintf("signing in: %d %s: %s", e.Status, e.Code, e.Message)
}

// Token returns an access token that is good now.
func (a *Account) Token(ctx context.Context) (string, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := a.load(); err != nil {
		return "", err
	}
	if a.tokens.Access != "" && time.Until(a.tokens.Expires) > tokenMargin {
		return a.tokens.Access, nil
	}
	return a.renew(ctx)
}

// Renew returns a new access token.
func (a *Account) Renew(ctx context.Context) (string, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := a.load(); err != nil {
		return "", err
	}
	return a.renew(ctx)
}

// Expire lets the next Token be a new one.
func (a *Account) Expire() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.tokens.Access = ""
}

func (a *Account) renew(ctx context.Context) (string, error) {
	if a.tokens.Refresh != "" {
		access, err := a.ask(ctx, "refresh", map[string]string{"refresh_token": a.tokens.Refresh})
		var refused *HTTPError
		if a.Name == "" || !errors.As(err, &refused) || refused.Status != http.StatusUnauthorized {
			return access, err // a guest whose session is over is lost; a new one would be somebody else
		}
	}
	if a.Name == "" {
		return a.ask(ctx, "guest", struct{}{})
	}
	how := "login"
	if a.Register {
		how = "register"
	}
	access, err := a.ask(ctx, how, map[string]string{"name": a.Name, "password": a.Password})
	if err == nil {
		a.Register = false
	}
	return access, err
}

func (a *Account) ask(ctx context.Context, path string, body any) (string, error) {
	text, err := json.Marshal(body)
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, requestPatience)
	defer cancel()
	address := strings.TrimSuffix(a.URL, "/") + "/auth/" + path
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(text))
	if err != nil {
		return "", err
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(response.Body, answerBytes))
	if err != nil {
		return "", err
	}
	if response.StatusCode != http.StatusOK {
		return "", httpError(response, answer)
	}
	var got tokens
	if err := json.Unmarshal(answer, &got); err != nil {
		return "", fmt.Errorf("the answer of /auth/%s: %w", path, err)
	}
	got.Server = a.URL
	got.Expires, got.In = time.Now().Add(seconds(got.In)), 0
	a.tokens = got
	return got.Access, a.save()
}

func httpError(response *http.Response, answer []byte) error {
	var body struct {
		Error struct {
			Code       string  `json:"code"`
			Message    string  `json:"message"`
			RetryAfter float64 `json:"retry_after"`
		} `json:"error"`
	}
	if json.Unmarshal(answer, &body) != nil || body.Error.Code == "" {
		body.Error.Message = http.StatusText(response.StatusCode) // a proxy's answer, perhaps
	}
	e := body.Error
	wait := max(seconds(e.RetryAfter), headerWait(response.Header.Get("Retry-After")))
	return &HTTPError{response.StatusCode, e.Code, e.Message, wait}
}

// headerWait is what a header Retry-After says, in seconds or as a date.
func headerWait(header string) time.Duration {
	if s, err := strconv.ParseFloat(header, 64); err == nil && s > 0 {
		return seconds(s)
	}
	if at, err := http.ParseTime(header); err == nil {
		return max(time.Until(at), 0)
	}
	return 0
}

// load reads the tokens of an earlier run, if they are of this server and this name.
func (a *Account) load() error {
	if a.loaded || a.File == "" {
		return nil
	}
	text, err := os.ReadFile(a.File)
	if errors.Is(err, os.ErrNotExist) {
		a.loaded = true
		return nil
	}
	var got tokens
	if err == nil {
		err = json.Unmarshal(text, &got)
	}
	if err != nil {
		return fmt.Errorf("the tokens in %s: %w", a.File, err)
	}
	a.loaded = true
	if got.Server == a.URL && (a.Name == "" || strings.EqualFold(a.Name, got.Name)) && !a.Register {
		a.tokens = got
	}
	return nil
}

// save lets nobody else read them, and never leaves half of a file.
func (a *Account) save() error {
	if a.File == "" {
		return nil
	}
	text, err := json.Marshal(a.tokens)
	if err != nil {
		return err
	}
	half := a.File + ".new"
	if err := os.WriteFile(half, text, 0o600); err != nil {
		return err
	}
	return os.Rename(half, a.File)
}
