package demo

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strconv"
	"syscall"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"herosup/cmd/internal/config"
	"herosup/cmd/internal/daemon"
	"herosup/cmd/internal/state"
	"herosup/dispatch"
	"herosup/events"
)

// Options say how to run the demonstration.
type Options struct {
	// Out gets the story and the summary; Live draws a table on a terminal.
	Out  io.Writer
	Live bool
	// JSON makes the summary one JSON object, the only thing on Out; the story goes to Err.
	JSON bool
	Err  io.Writer
	// RedisURL is a Redis to use; "" takes what there is.
	RedisURL string
	// Zinit is the socket of a zinit to use, which is left running; "" starts ours
	// and ends it.
	Zinit   string
	Version string
	Find    config.Interpreter
	Log     *slog.Logger
}

// limit ends a demonstration that hangs; it takes a third of that.
const limit = 60 * time.Second

// ErrLost says that jobs were lost, or a thing that must happen did not.
var ErrLost = errors.New("the demonstration failed")

// Run plays the whole demonstration and cleans up behind itself, also when it is
// interrupted.
func Run(ctx context.Context, o Options) (s Summary, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("%w: not over after %s", ErrLost, limit))
	defer cancel()
	dir, err := os.MkdirTemp("", "herosup-demo-")
	if err != nil {
		return s, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	f, err := state.Make(dir)
	if err != nil {
		return s, err
	}
	defer func() { err = errors.Join(err, f.RemoveSockets()) }()
	cfg, types, err := configuration(o, f)
	if err != nil {
		return s, err
	}
	story := o.Out
	if o.JSON {
		story = o.Err
	}
	p := &play{o: o, folder: f, types: types, tally: newTally(), screen: &screen{w: story, live: o.Live, start: time.Now(), pools: types}}
	up := make(chan state.Runtime, 1)
	ended := make(chan error, 1)
	// The daemon outlives the play's context: it must clean up after an interrupt.
	daemonCtx, stopDaemon := context.WithCancel(context.WithoutCancel(ctx))
	defer stopDaemon()
	go func() {
		ended <- daemon.Run(daemonCtx, daemon.Options{
			Config: cfg, Folder: f, Version: o.Version, Log: o.Log,
			Say: func(line string) { p.screen.say("%s", line) }, Ready: func(r state.Runtime) { up <- r },
		})
	}()
	select {
	case err := <-ended:
		return s, errors.Join(ErrLost, err)
	case r := <-up:
		s, err = p.perform(ctx, r, ended)
	}
	if cause := context.Cause(ctx); err != nil && cause != nil {
		err = errors.Join(cause, err)
	}
	return s, err
}

// configuration is three pools, small and quick to fall asleep.
func configuration(o Options, f *state.Folder) (config.Config, []string, error) {
	cfg, err := config.Load("", o.Find)
	if err != nil {
		return cfg, nil, err
	}
	cfg.Zinit.Socket = cmp.Or(o.Zinit, daemon.OwnZinit)
	cfg.Redis.URL = o.RedisURL
	cfg.Redis.Prefix = "herosup-demo-" + f.ID
	self, err := f.KeepBinary()
	if err != nil {
		return cfg, nil, err
	}
	most := perPool
	for name, p := range cfg.Pools {
		p.Max, p.IdleTimeout = &most, idleTimeout
		cfg.Pools[name] = p
	}
	goPool := cfg.Pools["bash"] // its defaults
	goPool.Type, goPool.Types, goPool.Command = GoType, map[string]int{GoType: 1}, self
	goPool.Args = []string{"demo-actor", "--actor-id", "{actor}", "--redis-url", "{redis}"}
	if goPool.Max == nil {
		return cfg, nil, errors.New("the demonstration needs bash")
	}
	cfg.Pools[GoType] = goPool
	var types []string
	for name := range cfg.Pools {
		types = append(types, name)
	}
	slices.Sort(types)
	return cfg, types, nil
}

// play is one performance.
type play struct {
	o      Options
	folder *state.Folder
	types  []string
	tally  *tally
	screen *screen
	bus    *events.Bus
	js     jetstream.JetStream
	sub    *events.Subscription
	prefix string
}

func (p *play) perform(ctx context.Context, r state.Runtime, ended <-chan error) (Summary, error) {
	nc, err := p.folder.Dial(ctx, r, "herosup demo")
	if err != nil {
		return Summary{}, err
	}
	if p.bus, err = events.NewBus(nc, events.Config{Prefix: r.Prefix, Source: "herosup/" + p.folder.ID + "/demo"}); err != nil {
		return Summary{}, err
	}
	defer p.bus.Close()
	p.prefix = r.Prefix
	if p.js, err = jetstream.New(nc); err != nil {
		return Summary{}, err
	}
	if p.sub, err = p.bus.Subscribe(events.Facts); err != nil {
		return Summary{}, err
	}
	first, err := p.acts(ctx)
	lives := p.tally.lives
	err = errors.Join(err, p.end(ctx, ended, lives))
	s := p.tally.summary(first, ctx.Err() != nil)
	p.report(s)
	switch {
	case err != nil:
		return s, err
	case s.Lost > 0 || s.Finished != s.Submitted:
		return s, fmt.Errorf("%w: %d submitted, %d finished, %d lost", ErrLost, s.Submitted, s.Finished, s.Lost)
	case s.Rerun == 0 || p.tally.ponged == "":
		return s, fmt.Errorf("%w: the killed actor's job was not seen to run again, or no ping was answered", ErrLost)
	}
	return s, nil
}

// acts is the story; it returns the time from the first submission to the first
// instruction of the first actor.
func (p *play) acts(ctx context.Context) (time.Duration, error) {
	t, scr := p.tally, p.screen
	scr.say("nothing runs; submitting the first job")
	begin := time.Now()
	if err := p.submit(ctx, job{"demo-first", GoType, "1ms"}); err != nil {
		return 0, err
	}
	if err := p.until(ctx, func() bool { return t.ended["demo-first"] != "" }); err != nil {
		return 0, err
	}
	stamp, err := p.output(ctx, "demo-first")
	if err != nil {
		return 0, err
	}
	first := time.Unix(0, stamp).Sub(begin)
	scr.say("first instruction of the first actor %.1f ms after the submission", millis(first))

	if err := p.submit(ctx, job{victimID, victimType, victimScript}); err != nil {
		return first, err
	}
	jobs := plan(p.types)
	for _, j := range jobs {
		if err := p.submit(ctx, j); err != nil {
			return first, err
		}
	}
	scr.say("submitted %d jobs", len(jobs)+2)
	if err := p.until(ctx, func() bool { return t.victim.Job != "" }); err != nil {
		return first, err
	}
	v := t.victim
	scr.say("SIGKILL to %s (PID %d) in the middle of job %s", v.Actor, v.Incarnation.PID, v.Job)
	killed := time.Now()
	if err := syscall.Kill(v.Incarnation.PID, syscall.SIGKILL); err != nil {
		return first, fmt.Errorf("kill %s: %w", v.Actor, err)
	}
	if err := p.until(ctx, func() bool { return !t.again.IsZero() }); err != nil {
		return first, err
	}
	scr.say("job %s runs again on %s, %.1f ms after the kill", v.Job, t.victim.Actor, millis(t.again.Sub(killed)))
	if err := p.until(ctx, func() bool { return t.open() == 0 && t.idle() != "" }); err != nil {
		return first, err
	}
	name := t.idle()
	scr.say("all jobs have ended; pinging %s", name)
	if err := p.bus.Request(ctx, events.ActorPing{Actor: name}, nil); err != nil {
		return first, fmt.Errorf("ping %s: %w", name, err)
	}
	if err := p.until(ctx, func() bool { return t.ponged != "" }); err != nil {
		return first, err
	}
	scr.say("%s answered; waiting for the actors to fall asleep", t.ponged)
	return first, p.until(ctx, func() bool { return t.up("") == 0 })
}

func (p *play) submit(ctx context.Context, j job) error {
	p.tally.submitted[j.id] = time.Now()
	_, _, _, err := dispatch.Submit(ctx, p.js, p.prefix, j.scriptType, []byte(j.script), dispatch.Options{ID: j.id})
	return err
}

// until folds facts until done says so.
func (p *play) until(ctx context.Context, done func() bool) error {
	redraw := time.NewTicker(250 * time.Millisecond)
	defer redraw.Stop()
	for !done() {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case raw := <-p.sub.C:
			if m, err := p.sub.Open(raw); err == nil {
				p.tally.fold(m)
			}
		case <-redraw.C:
			p.screen.draw(p.tally)
		}
	}
	p.screen.draw(p.tally)
	return nil
}

func (p *play) output(ctx context.Context, id string) (int64, error) {
	var v dispatch.JobView
	if err := p.bus.Request(ctx, events.JobShow{Job: id}, &v); err != nil {
		return 0, err
	}
	return strconv.ParseInt(v.Output, 10, 64)
}

// end stops everything and looks whether anything was left.
func (p *play) end(ctx context.Context, ended <-chan error, lives map[string]events.Incarnation) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 15*time.Second)
	defer cancel()
	if err := p.bus.Request(ctx, events.SystemShutdown{StopActors: true, Deadline: 2}, nil); err != nil {
		return fmt.Errorf("stop the daemon: %w", err)
	}
	select {
	case err := <-ended:
		if err != nil {
			return fmt.Errorf("stop the daemon: %w", err)
		}
	case <-ctx.Done():
		return fmt.Errorf("stop the daemon: %w", ctx.Err())
	}
	for name, life := range lives {
		if life.Alive() {
			return fmt.Errorf("%w: %s (PID %d) still runs", ErrLost, name, life.PID)
		}
	}
	if p.o.Zinit != "" {
		p.screen.say("daemon, Redis and all actors have ended; the zinit at %s goes on", p.o.Zinit)
		return nil
	}
	p.screen.say("daemon, Redis, zinit and all actors have ended")
	return nil
}

func (p *play) report(s Summary) {
	p.screen.wipe()
	if p.o.JSON {
		b, _ := json.Marshal(s) // a struct of numbers
		fmt.Fprintf(p.o.Out, "%s\n", b)
		return
	}
	open := fmt.Sprintf("lost %d", s.Lost)
	if s.Unfinished > 0 {
		open = fmt.Sprintf("interrupted %d", s.Unfinished)
	}
	fmt.Fprintf(p.o.Out, `
submitted %d   finished %d   run twice %d   %s
wait from ready to taken: p50 %.1f ms, p99 %.1f ms
first submission to the first actor's first instruction: %.1f ms
`, s.Submitted, s.Finished, s.Rerun, open, s.WaitP50, s.WaitP99, s.FirstCode)
}
