package zinit

import (
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"strings"
	"time"

	"herosup/events"
)

// ExecutorConfig is what an Executor needs to know.
type ExecutorConfig struct {
	// Node is the token in our orders' subjects; "" is events.LocalNode.
	Node string
	// Client speaks to the zinit. The caller closes it after Run has returned.
	Client *Client
	// Prefix begins the names of all our services; the rest is the actor's id.
	// Required: nothing outside it is ever touched.
	Prefix string
	// Folder is the state folder: part of the mark by which an actor is known that zinit has lost sight of.
	Folder string
	// Pools says how an actor of each pool is run.
	Pools map[string]Template
	// PollEvery is the longest pause between two looks at a service whose next
	// process we wait for; 0 is 250 ms. An actor that says hello is seen at once.
	PollEvery time.Duration
}

// Template is the service of a pool's actors. In each word of Exec, and in the
// values of Env, {actor} stands for the actor's id.
type Template struct {
	Exec  []string
	Env   map[string]string
	Dir   string
	After []string
	// StopTimeout is the time between TERM and KILL, whole seconds; 0 is the
	// default of Service.
	StopTimeout time.Duration
	// Extension is what only our own server does; another zinit ignores it.
	Extension Extension
}

// The bounds of the executor.
const (
	defaultPoll = 250 * time.Millisecond
	firstPoll   = time.Millisecond
	// startPatience is how long one start waits for the process; a service that
	// waits for its dependencies takes longer, and is then found by polling.
	startPatience = 5 * time.Second
	// askGroup bounds the question for the script groups: without an answer
	// (Redis is away) dispatch itself keeps the job until that group is gone.
	askGroup = 250 * time.Millisecond
	// buryPatience bounds the wait for killed processes to be gone.
	buryPatience = 2 * time.Second
	// causePatience bounds the question how a process ended: why is good to know,
	// but that it ended must not wait for a zinit that hangs. Under load zinit itself takes some tens of milliseconds.
	causePatience = 200 * time.Millisecond
	// The pace of trying to reach a zinit that is away.
	firstRetry = 50 * time.Millisecond
	maxRetry   = 2 * time.Second
	// healthEvery is the pace of asking a zinit that we have no other need of.
	healthEvery = 2 * time.Second
	// maxOrders bounds the orders that wait behind one that runs; the keeper has
	// at most a stop behind a start.
	maxOrders = 8
)

func (c ExecutorConfig) complete() (ExecutorConfig, error) {
	if c.Node == "" {
		c.Node = events.LocalNode
	}
	if c.PollEvery <= 0 {
		c.PollEvery = defaultPoll
	}
	switch {
	case c.Client == nil:
		return c, errors.New("new executor: no client")
	case c.Prefix == "":
		return c, errors.New("new executor: no prefix")
	}
	pools := make(map[string]Template, len(c.Pools))
	for name, t := range c.Pools {
		env := maps.Clone(t.Env)
		if env == nil {
			env = map[string]string{}
		}
		env[markVar] = marked(c.Prefix+"{actor}", c.Folder)
		env[graceVar] = t.service(name).Grace().String()
		t.Env = env
		pools[name] = t
		if err := t.service(name + "_1").Validate(); err != nil {
			return c, fmt.Errorf("pools.%s: %w", name, err)
		}
		if err := decided(t.Exec[0]); err != nil {
			return c, fmt.Errorf("pools.%s.command: %w", name, err)
		}
	}
	c.Pools = pools
	return c, nil
}

// decided says what is wrong with a program whose path its folder decides, and which is not there.
// Any other may be gone for a while: then starts tell it (Runnable), and what lives is kept.
func decided(program string) error {
	if !strings.Contains(program, "/") || filepath.IsAbs(program) {
		return nil
	}
	return Runnable(program)
}

// service is the actor's service.
func (t Template) service(actor string) Service {
	put := func(s string) string { return strings.ReplaceAll(s, "{actor}", actor) }
	s := Service{
		Dir: t.Dir, After: t.After, ShutdownTimeout: t.StopTimeout, Env: map[string]string{}, Extension: t.Extension,
	}
	for _, w := range t.Exec {
		s.Exec = append(s.Exec, put(w))
	}
	for k, v := range t.Env {
		s.Env[k] = put(v)
	}
	return s
}
