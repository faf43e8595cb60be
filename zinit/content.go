package zinit

import (
	"fmt"
	"strings"
	"time"

	"github.com/kballard/go-shellquote"
)

// Content is a service as its file says it: the keys of research/zinit.md 4,
// with commands as single lines of shell words. It is what service_create
// takes, as JSON, and what lies in <name>.yaml.
type Content struct {
	Exec    string            `json:"exec" yaml:"exec"`
	Test    string            `json:"test,omitempty" yaml:"test,omitempty"`
	Oneshot bool              `json:"oneshot,omitempty" yaml:"oneshot,omitempty"`
	After   []string          `json:"after,omitempty" yaml:"after,omitempty"`
	Env     map[string]string `json:"env,omitempty" yaml:"env,omitempty"`
	Dir     string            `json:"dir,omitempty" yaml:"dir,omitempty"`
	Log     Log               `json:"log,omitempty" yaml:"log,omitempty"`
	Signal  *Signals          `json:"signal,omitempty" yaml:"signal,omitempty"`
	// ShutdownTimeout is in seconds; nil when the file does not name it.
	ShutdownTimeout *uint64 `json:"shutdown_timeout,omitempty" yaml:"shutdown_timeout,omitempty"`

	ContentExtension `yaml:",inline"`
}

// Signals is the signal key of a service file.
type Signals struct {
	Stop string `json:"stop,omitempty" yaml:"stop,omitempty"`
}

// Content is s as a service file says it, or the reason why none can.
func (s Service) Content() (Content, error) {
	if err := s.Validate(); err != nil {
		return Content{}, err
	}
	c := Content{
		Exec:    quote(s.Exec),
		Oneshot: s.Oneshot,
		After:   s.After,
		Env:     s.Env,
		Dir:     s.Dir,
		Log:     s.Log,

		ContentExtension: s.Extension.content(),
	}
	if len(s.Test) > 0 {
		c.Test = quote(s.Test)
	}
	if s.StopSignal != "" {
		c.Signal = &Signals{Stop: s.StopSignal}
	}
	switch s.ShutdownTimeout {
	case 0:
	case NoGrace:
		c.ShutdownTimeout = new(uint64(0))
	default:
		c.ShutdownTimeout = new(uint64(s.ShutdownTimeout / time.Second))
	}
	return c, nil
}

// Service is the value that c says, or what is wrong with it.
func (c Content) Service() (Service, error) {
	s := Service{Oneshot: c.Oneshot, After: c.After, Env: c.Env, Dir: c.Dir, Log: c.Log}
	var err error
	if s.Exec, err = shellquote.Split(c.Exec); err != nil {
		return Service{}, fmt.Errorf("exec %.100q: %w", c.Exec, err)
	}
	if s.Test, err = shellquote.Split(c.Test); err != nil {
		return Service{}, fmt.Errorf("test %.100q: %w", c.Test, err)
	}
	if s.Extension, err = c.ContentExtension.extension(); err != nil {
		return Service{}, err
	}
	if c.Signal != nil {
		s.StopSignal = c.Signal.Stop
	}
	if t := c.ShutdownTimeout; t != nil {
		switch {
		case *t == 0:
			s.ShutdownTimeout = NoGrace
		case *t > uint64(MaxShutdownTimeout/time.Second):
			return Service{}, fmt.Errorf("shutdown_timeout: got %d, want at most %d seconds",
				*t, MaxShutdownTimeout/time.Second)
		default:
			s.ShutdownTimeout = time.Duration(*t) * time.Second
		}
	}
	if err := s.Validate(); err != nil {
		return Service{}, err
	}
	return s, nil
}

// quote joins words into one line that both our splitter and the original's
// (the shlex crate) take apart into the same words. The original also takes a
// word that begins with # for a comment, which the quoting library does not
// know of.
func quote(words []string) string {
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = shellquote.Join(w)
		if strings.HasPrefix(quoted[i], "#") {
			quoted[i] = `\` + quoted[i]
		}
	}
	return strings.Join(quoted, " ")
}
