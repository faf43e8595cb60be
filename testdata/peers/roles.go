package main

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// What a job says in its payload, to every system alike.
const (
	payloadNoop = "noop" // return at once
	payloadAt   = "at "  // and the submitter's clock in ns: note how late it is
	payloadHold = "hold" // tell that it began, and wait to be released
)

// roleFlags are what a role may be told; each takes what it needs.
type roleFlags struct {
	system      string
	redis       string // unix socket
	concurrency int
	jobs        int
	callers     int // that wait for each answer; 0: one that does not
	batch       int
	rate        int // a second; 0: as fast as it goes
	payload     string
	name        string // of an actor
	jobType     string
	nats, keys  string
	control     string // a socket to call instead of standard input and output
	first       uint64 // log sequence before the first
	delay       time.Duration
}

func runRole(ctx context.Context, what string, args []string) error {
	var r roleFlags
	f := flag.NewFlagSet(what, flag.ContinueOnError)
	f.StringVar(&r.system, "system", "", "")
	f.StringVar(&r.redis, "redis", "", "")
	f.IntVar(&r.concurrency, "concurrency", 1, "")
	f.IntVar(&r.jobs, "jobs", 0, "")
	f.IntVar(&r.callers, "callers", 1, "")
	f.IntVar(&r.batch, "batch", 1, "")
	f.IntVar(&r.rate, "rate", 0, "")
	f.StringVar(&r.payload, "payload", payloadNoop, "")
	f.StringVar(&r.name, "name", "peer_1", "")
	f.StringVar(&r.jobType, "type", "noop", "")
	f.StringVar(&r.nats, "nats", "", "")
	f.StringVar(&r.keys, "keys", "", "")
	f.StringVar(&r.control, "control", "", "")
	f.Uint64Var(&r.first, "first", 0, "")
	f.DurationVar(&r.delay, "delay", 0, "")
	if err := f.Parse(args); err != nil {
		return err
	}
	r.redis = strings.TrimPrefix(r.redis, "unix://") // the daemon's {redis} is a URL
	c, err := dialControl(r.control)
	if err != nil {
		return err
	}
	switch what {
	case "worker":
		err = work(ctx, r, c)
	case "submitter":
		err = submit(ctx, r, c)
	default:
		err = fmt.Errorf("no role %q", what)
	}
	if err != nil {
		c.say(message{Event: "failed", Text: err.Error()})
	}
	return err
}

// control is the role's end of its conversation with the harness.
type control struct {
	mu sync.Mutex
	w  io.Writer
	in *bufio.Scanner
}

func dialControl(socket string) (*control, error) {
	if socket == "" {
		return &control{w: os.Stdout, in: bufio.NewScanner(os.Stdin)}, nil
	}
	conn, err := net.Dial("unix", socket)
	if err != nil {
		return nil, err
	}
	return &control{w: conn, in: bufio.NewScanner(conn)}, nil
}

func (c *control) say(m message) {
	m.PID = os.Getpid()
	b, err := json.Marshal(m)
	if err != nil {
		panic(err) // numbers and texts
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	_, _ = c.w.Write(append(b, '\n')) // nobody is there any more: our end is near
}

// hear is the next word of the harness; "" when it is gone.
func (c *control) hear() string {
	for c.in.Scan() {
		var m message
		if json.Unmarshal(c.in.Bytes(), &m) == nil && m.Do != "" {
			return m.Do
		}
	}
	return ""
}

// cpuTime is this process' so far, in microseconds.
func cpuTime() float64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1000
}

// counter is what a worker's handler does and notes.
type counter struct {
	c       *control
	most    int64 // say done with this one; 0: never
	jobs    atomic.Int64
	first   atomic.Int64
	mu      sync.Mutex
	late    []float64
	release chan struct{} // a value for each hold that may end
}

func (n *counter) handle(ctx context.Context, id, payload string) {
	now := time.Now()
	switch n.jobs.Add(1) {
	case 1:
		n.first.Store(now.UnixNano())
	case n.most:
		defer n.c.say(message{Event: "done"})
	}
	switch {
	case strings.HasPrefix(payload, payloadAt):
		at, err := strconv.ParseInt(payload[len(payloadAt):], 10, 64)
		if err != nil {
			return // and the count of what is late will be short
		}
		n.mu.Lock()
		n.late = append(n.late, float64(now.UnixNano()-at)/1000)
		n.mu.Unlock()
	case payload == payloadHold:
		n.c.say(message{Event: "began", Job: id, At: now.UnixNano()})
		select {
		case <-n.release:
		case <-ctx.Done():
		}
	}
}

// work runs a worker until the harness is gone: it says ready, waits for go, and
// answers report.
func work(ctx context.Context, r roleFlags, c *control) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	n := &counter{c: c, most: int64(r.jobs), release: make(chan struct{})}
	run, err := workers(r, n)
	if err != nil {
		return err
	}
	c.say(message{Event: "ready"})
	if c.hear() != "go" {
		return nil
	}
	begun := cpuTime()
	failed := make(chan error, 1)
	go func() {
		if err := run(ctx); err != nil {
			c.say(message{Event: "failed", Text: err.Error()})
			failed <- err
		}
	}()
	go func() {
		defer cancel()
		for {
			switch c.hear() {
			case "report":
				n.mu.Lock()
				c.say(message{Event: "report", Jobs: int(n.jobs.Load()), First: n.first.Load(), CPU: cpuTime() - begun, Late: n.late})
				n.mu.Unlock()
			case "release":
				n.release <- struct{}{}
			case "":
				os.Exit(0) // the harness is gone or has ended us: an orderly end is not measured
			}
		}
	}()
	select {
	case <-ctx.Done():
		return nil
	case err := <-failed:
		return err
	}
}

// workers is how each system runs a worker.
func workers(r roleFlags, n *counter) (func(context.Context) error, error) {
	switch r.system {
	case "asynq":
		return asynqWorker(r, n), nil
	case "raw":
		return rawWorker(r, n), nil
	case "herosup":
		return heroWorker(r, n)
	}
	return nil, fmt.Errorf("no worker of %q", r.system)
}
