package external

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"herosup/events"
)

// Access is what it takes to connect.
type Access struct {
	// URL has one server, or several of a cluster with commas between: nats:// or
	// tls://. It may hold a user and a password.
	URL string `json:"url"`
	// Creds is a file with the credentials of a user, NKey one with a seed. Either, or
	// neither.
	Creds string `json:"creds,omitempty"`
	NKey  string `json:"nkey,omitempty"`
	// CA is a file with the authorities to trust in TLS; "" means the system's.
	CA string `json:"ca,omitempty"`
}

// schemes are those of NATS' own protocol.
var schemes = []string{"nats://", "tls://"}

// Check says what is wrong with it, without trying it.
func (a Access) Check() error {
	for _, one := range strings.Split(a.URL, ",") {
		u, err := url.Parse(strings.TrimSpace(one))
		switch {
		case err != nil:
			return errors.New("nats url: not a URL") // the text of err would show the password
		case u.Scheme+"://" != schemes[0] && u.Scheme+"://" != schemes[1]:
			return fmt.Errorf("nats url %s: want %s", redacted(u), strings.Join(schemes, " or "))
		case u.Hostname() == "":
			return fmt.Errorf("nats url %s: no host", redacted(u))
		}
	}
	if a.Creds != "" && a.NKey != "" {
		return errors.New("nats: give creds or nkey, not both")
	}
	return nil
}

// Public is the URL without its passwords, which may be shown.
func (a Access) Public() string {
	var all []string
	for _, one := range strings.Split(a.URL, ",") {
		u, err := url.Parse(strings.TrimSpace(one))
		if err != nil {
			return "(unreadable)"
		}
		all = append(all, redacted(u))
	}
	return strings.Join(all, ",")
}

// redacted hides a token as well, which NATS has in the place of the user where there is no password.
func redacted(u *url.URL) string {
	if _, has := u.User.Password(); u.User != nil && !has {
		hidden := *u
		hidden.User = url.User("xxxxx") // as Redacted has it
		u = &hidden
	}
	return u.Redacted()
}

// options are those of a connection.
func (a Access) options(name string, log *slog.Logger) ([]nats.Option, error) {
	opts := events.ConnectOptions(name, log)
	if a.Creds != "" {
		opts = append(opts, nats.UserCredentials(a.Creds))
	}
	if a.NKey != "" {
		o, err := nats.NkeyOptionFromSeed(a.NKey)
		if err != nil {
			return nil, fmt.Errorf("nats nkey %s: %w", a.NKey, err)
		}
		opts = append(opts, o)
	}
	if a.CA != "" {
		opts = append(opts, nats.RootCAs(a.CA))
	}
	return opts, nil
}

// Dial opens a connection. ctx bounds the wait for it.
func (a Access) Dial(ctx context.Context, name string, log *slog.Logger, more ...nats.Option) (*nats.Conn, error) {
	if err := a.Check(); err != nil {
		return nil, err
	}
	opts, err := a.options(name, log)
	if err != nil {
		return nil, err
	}
	if d, ok := ctx.Deadline(); ok {
		opts = append(opts, nats.Timeout(time.Until(d)))
	}
	nc, err := nats.Connect(a.URL, append(opts, more...)...)
	if errors.Is(err, nats.ErrNoServers) {
		return nil, fmt.Errorf("connect to nats %s: %w: is it running, and is nats.url right?", a.Public(), err)
	}
	if err != nil {
		return nil, fmt.Errorf("connect to nats %s: %w", a.Public(), err)
	}
	return nc, nil
}
