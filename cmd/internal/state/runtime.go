package state

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"time"

	"github.com/nats-io/nats.go"

	"herosup/events/embedded"
	"herosup/events/external"
)

// Runtime is what a running daemon tells the command line about itself.
type Runtime struct {
	PID     int       `json:"pid"`
	Started time.Time `json:"started"`
	Version string    `json:"version"`
	// NATS is the URL for clients, without passwords; keys are below nats/ in the
	// folder, unless External says how to reach a server that is not ours.
	NATS     string           `json:"nats"`
	External *external.Access `json:"nats_external,omitempty"`
	// Prefix is the first token of every subject.
	Prefix string `json:"prefix"`
	// Zinit is the socket of the process manager in use; OwnZinit tells that we
	// started it.
	Zinit    string `json:"zinit"`
	OwnZinit bool   `json:"own_zinit"`
	// Redis is the URL without its password; RedisKind is "given", "server" or
	// "embedded".
	Redis     string `json:"redis"`
	RedisKind string `json:"redis_kind"`
}

// WriteRuntime stores it for the command line.
func (f *Folder) WriteRuntime(r Runtime) error {
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	if err := writeFile(f.Path("daemon.json"), append(b, '\n')); err != nil {
		return fmt.Errorf("write daemon.json: %w", err)
	}
	return nil
}

// ReadRuntime reads what the last daemon wrote, whether or not it still runs.
func (f *Folder) ReadRuntime() (Runtime, error) {
	b, err := os.ReadFile(f.Path("daemon.json"))
	if err != nil {
		return Runtime{}, fmt.Errorf("read daemon.json: %w", err)
	}
	var r Runtime
	if err := json.Unmarshal(b, &r); err != nil {
		return Runtime{}, fmt.Errorf("read daemon.json: %w", err)
	}
	return r, nil
}

// Dial connects to the bus of the daemon that wrote r, with an operator's rights. ctx
// bounds the wait.
func (f *Folder) Dial(ctx context.Context, r Runtime, name string) (*nats.Conn, error) {
	if r.External != nil {
		return r.External.Dial(ctx, name, nil)
	}
	return embedded.Dial(ctx, r.NATS, f.Path("nats"), embedded.Operator, nil, nats.Name(name))
}
