package state

import (
	"encoding/json"
	"fmt"
	"os"
	"time"
)

// Runtime is what a running daemon tells the command line about itself.
type Runtime struct {
	PID     int       `json:"pid"`
	Started time.Time `json:"started"`
	Version string    `json:"version"`
	// NATS is the URL for clients; keys are below nats/ in the folder.
	NATS string `json:"nats"`
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
