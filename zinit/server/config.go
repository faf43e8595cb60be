package server

import (
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
)

// DefaultLogLines is how many lines of output are kept, of all services
// together: the original's number.
const DefaultLogLines = 2000

// Config is what Run needs.
type Config struct {
	// Dir holds the service files (<name>.yaml). It is made, for its owner alone,
	// when it is missing. Required.
	Dir string
	// Socket is where clients are answered. Its folder must exist; a lock file
	// "<socket>.lock" is kept beside it. Required.
	Socket string
	// LogLines is the size of the log ring; 0 is DefaultLogLines.
	LogLines int
	// Log is where the server tells its own story; nil is nowhere.
	Log *slog.Logger
	// Keeper is the command that runs Keep over Dir, in a process that outlives
	// this one: it reads the output of services while no server does. With none, a
	// service blocks after a server's SIGKILL when 64 KiB of its output have piled
	// up.
	Keeper []string
	// Ready, if set, is called once: when clients are answered.
	Ready func()
}

// complete is c with defaults, or what is wrong with it.
func (c Config) complete() (Config, error) {
	if c.Dir == "" {
		return c, errors.New("start zinit: no folder for the service files is named")
	}
	if c.Socket == "" {
		return c, errors.New("start zinit: no socket is named")
	}
	if c.LogLines < 0 {
		return c, fmt.Errorf("start zinit: log lines: got %d, want 0 (default %d) or more", c.LogLines, DefaultLogLines)
	}
	for _, p := range []*string{&c.Dir, &c.Socket} {
		abs, err := filepath.Abs(*p)
		if err != nil {
			return c, fmt.Errorf("start zinit: %w", err)
		}
		*p = abs
	}
	if c.LogLines == 0 {
		c.LogLines = DefaultLogLines
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Ready == nil {
		c.Ready = func() {}
	}
	return c, nil
}
