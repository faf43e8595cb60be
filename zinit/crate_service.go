package zinit

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"strings"
	"time"
)

// crateConfig is a service file of the crate dialect (TOML on the disk, JSON on the
// wire), as far as a Service has a word for it.
type crateConfig struct {
	Service struct {
		Name    string            `json:"name"`
		Exec    string            `json:"exec"`
		Dir     string            `json:"dir,omitempty"`
		Oneshot bool              `json:"oneshot"`
		Env     map[string]string `json:"env,omitempty"`
		Status  string            `json:"status"`
	} `json:"service"`
	Dependencies struct {
		Requires []string `json:"requires,omitempty"`
	} `json:"dependencies"`
	Lifecycle struct {
		Restart         string `json:"restart"`
		RestartDelay    uint64 `json:"restart_delay_ms"`
		RestartDelayMax uint64 `json:"restart_delay_max_ms"`
		MaxRestarts     uint64 `json:"max_restarts"`
		StopTimeout     uint64 `json:"stop_timeout_ms"`
		StopSignal      string `json:"stop_signal"`
	} `json:"lifecycle"`
	Health *crateHealth `json:"health,omitempty"`
}

// crateHealth is a check that is repeated until it passes, and then is no more.
type crateHealth struct {
	Type     string `json:"type"`
	Target   string `json:"target"`
	Interval uint64 `json:"interval_ms"`
	Retries  uint64 `json:"retries"`
}

// What a file says of its service's start.
const (
	crateStart  = "start"  // as soon as zinit has it
	crateStop   = "stop"   // when somebody asks for it: so we leave one that we have taken out to stop it
	crateIgnore = "ignore" // never by itself, nor when asked
	crateAlways = "always" // after each end of a process, whatever its code
)

// How soon a process is started again. The first pause is long enough for how the
// one before ended to be asked; the longest is the original's only one.
const (
	crateDelay    = 100 * time.Millisecond
	crateDelayMax = 2 * time.Second
	crateRetest   = 2 * time.Second // between two tests: the original's
)

// crateExec begins a command of ours, which zinit has a shell run: the process is
// then that of the program and not the shell's. Its first word has to be a program
// on zinit's PATH, which exec is not.
const (
	crateExec  = "true && exec "
	crateQuiet = " >/dev/null 2>&1"
)

// crateOf is a service file for c.
func crateOf(name string, c Content, start bool) (f crateConfig, err error) {
	f.Service.Name, f.Service.Oneshot, f.Service.Env = name, c.Oneshot, c.Env
	f.Service.Exec = crateExec + c.Exec
	switch c.Log {
	case LogNone:
		f.Service.Exec += crateQuiet
	case LogStdout:
		return f, refuse(true, ConfigError, "log: this zinit does not pass output on (ring and none it can)")
	}
	f.Service.Dir = c.Dir
	if c.Dir == "" {
		f.Service.Dir = "/" // as any other zinit: this one would take its own
	}
	f.Service.Status = crateIgnore
	if start {
		f.Service.Status = crateStart
	}
	// Its "after" is content with a service that was tried; its "requires" is ours.
	f.Dependencies.Requires = c.After
	f.Lifecycle.Restart = crateAlways
	f.Lifecycle.RestartDelay, f.Lifecycle.RestartDelayMax = ms(crateDelay), ms(crateDelayMax)
	f.Lifecycle.StopTimeout, f.Lifecycle.StopSignal = ms(DefaultShutdownTimeout), "SIGTERM"
	if t := c.ShutdownTimeout; t != nil {
		f.Lifecycle.StopTimeout = max(1, *t*1000) // 0 it refuses
	}
	if c.Signal != nil && c.Signal.Stop != "" {
		f.Lifecycle.StopSignal = c.Signal.Stop
	}
	if c.Test != "" {
		f.Health = &crateHealth{Type: "exec", Target: c.Test, Interval: ms(crateRetest), Retries: math.MaxUint16}
	}
	return f, nil
}

func ms(d time.Duration) uint64 { return uint64(d / time.Millisecond) }

// pause is the longest that is between two lives of the service, if it is ours.
func (f crateConfig) pause() time.Duration {
	return time.Duration(min(f.Lifecycle.RestartDelayMax, ms(crateDelayMax))) * time.Millisecond
}

// idle: nothing starts it.
func (f crateConfig) idle() bool { return f.Service.Status != "" && f.Service.Status != crateStart }

// again tells for certain that zinit is about to start the service anew: a bad end is of a
// process that nobody has stopped.
func (f crateConfig) again(s Status) bool {
	always := f.Lifecycle.Restart == crateAlways && f.Lifecycle.MaxRestarts == 0 && !f.Service.Oneshot && !f.idle()
	return always && s.PID == 0 && s.Target == Up && s.State.Ended() && s.State.Kind != Success
}

// grace is the time between the stop signal and KILL.
func (f crateConfig) grace() time.Duration {
	return time.Duration(min(f.Lifecycle.StopTimeout, ms(MaxShutdownTimeout))) * time.Millisecond
}

// content is what the file says in the words of the others. A command that is not
// one of ours is what a shell makes of it.
func (f crateConfig) content() Content {
	c := Content{Oneshot: f.Service.Oneshot, Env: f.Service.Env, After: f.Dependencies.Requires}
	exec, ours := strings.CutPrefix(f.Service.Exec, crateExec)
	if quiet, ok := strings.CutSuffix(exec, crateQuiet); ours && ok {
		exec, c.Log = quiet, LogNone
	}
	if !ours {
		exec = quote([]string{"/bin/sh", "-c", f.Service.Exec})
	}
	c.Exec = exec
	if f.Service.Dir != "/" {
		c.Dir = f.Service.Dir
	}
	if t := f.Lifecycle.StopTimeout; t != ms(DefaultShutdownTimeout) {
		c.ShutdownTimeout = new(t / 1000)
	}
	if s := f.Lifecycle.StopSignal; s != "" && !strings.EqualFold(s, "SIGTERM") {
		c.Signal = &Signals{Stop: s}
	}
	if f.Health != nil && f.Health.Type == "exec" {
		c.Test = f.Health.Target
	}
	return c
}

// config is what zinit has of a service; what has no command (it calls that a
// target) is empty but for its name.
func (z crate) config(name string) (f crateConfig, err error) {
	return f, z.ask("service.get", named{Name: name}, &f)
}

func (z crate) create(name string, c Content, start bool) error {
	f, err := crateOf(name, c, start)
	if err != nil {
		return err
	}
	_, err = z.config(name)
	switch {
	case err == nil:
		return refuse(true, ServiceAlreadyExists, "service '%s' already exists", name)
	case ignoring(err, ServiceNotFound) != nil:
		return err
	}
	z.l.c.memory.lives(name)
	return z.set(f)
}

// again starts a stopped service whose file says just this.
func (z crate) again(name string, c Content) error {
	if err := z.same(name, c); err != nil {
		return err
	}
	f, err := z.config(name)
	if err != nil {
		return err
	}
	s, _, err := z.look(name)
	if err != nil {
		return err
	}
	if err := refuse(z.inactive(s, f), ProcessError, "service '%s' may be about to be started, or not", name); err != nil {
		return err
	}
	return z.start(name)
}

// start refuses what zinit would pass over in silence. What it is about to start again is
// left to it: it would start it at that time all the same, also if it were stopped by then.
func (z crate) start(name string) error {
	f, err := z.config(name)
	if err != nil {
		return err
	}
	if f.Service.Status == crateStop {
		return z.monitor(name)
	}
	if err := startable(name, f); err != nil {
		return err
	}
	s, shown, err := z.look(name)
	if err != nil || f.again(s) {
		return err
	}
	if err := refuse(shown != 0 && s.PID == 0, ProcessError, "this zinit has lost sight of service '%s' and takes it to run as PID %d: "+
		"it is not started", name, shown); err != nil {
		return err
	}
	z.l.c.memory.lives(name)
	return z.ask("service.start", named{Name: name}, nil)
}

// same refuses a service whose file says another thing.
func (z crate) same(name string, c Content) error {
	want, err := crateOf(name, c, true)
	if err != nil {
		return err
	}
	have, err := z.config(name)
	if err != nil {
		return err
	}
	// Encoded, so that what is empty and what is absent are the same.
	return refuse(!sameJSON(have, want), ConfigError, "service '%s' is another than that", name)
}

func sameJSON(a, b any) bool {
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	return errors.Join(errX, errY) == nil && bytes.Equal(x, y)
}

// set makes a service that zinit does not have.
func (z crate) set(f any) error {
	return z.ask("service.set", map[string]any{"config": f}, nil)
}

// wholeConfig is a service file with all that it says: what is not said again is
// forgotten.
type wholeConfig map[string]map[string]any

func (f wholeConfig) status(s string) { f["service"]["status"] = s }

func (z crate) whole(name string) (f wholeConfig, err error) {
	if err := z.ask("service.get", named{Name: name}, &f); err != nil {
		return nil, err
	}
	return f, refuse(f["service"] == nil, ConfigError, "service '%s' has no command", name)
}

// monitor has a service started that was made without: it is made anew.
func (z crate) monitor(name string) error {
	f, err := z.whole(name)
	switch {
	case errors.Is(err, ServiceNotFound):
		return refuse(true, ConfigError, "service '%s' is not known (this zinit reads its service files at its start only)", name)
	case err != nil:
		return err
	case f["service"]["status"] != crateIgnore && f["service"]["status"] != crateStop:
		return refuse(true, ServiceAlreadyMonitored, "service '%s' is already monitored", name)
	}
	f.status(crateStart)
	return z.replace(name, f)
}

// forget is refused, for the reason that helps.
func (z crate) forget(name string) error {
	s, err := z.status(name)
	if err != nil {
		return err
	}
	if err := refuse(s.PID != 0, ServiceIsUp, "service '%s' is up", name); err != nil {
		return err
	}
	return refuse(true, MethodNotFound, "forget %s: in this zinit a service and its file are one (delete removes both)", name)
}

// startable says why a start would do nothing, which zinit does not.
func startable(name string, f crateConfig) error {
	return refuse(f.idle(), ConfigError, "service '%s' is not started: its file says status = %q", name, f.Service.Status)
}

// stats is what a service uses. Of CPU it tells nothing.
func (z crate) stats(name string) (Stats, error) {
	var main struct {
		PID    int    `json:"pid"`
		Memory uint64 `json:"memory_bytes"`
	}
	if err := z.ask("service.stats", named{Name: name}, &main); err != nil {
		return Stats{}, err
	}
	if err := refuse(main.PID == 0, ServiceIsDown, "service '%s' is down", name); err != nil {
		return Stats{}, err
	}
	var below struct {
		Children []struct {
			PID    int    `json:"pid"`
			Memory uint64 `json:"memory_bytes"`
		} `json:"children"`
	}
	if err := z.ask("service.children", named{Name: name}, &below); err != nil {
		return Stats{}, err
	}
	s := Stats{Name: name, Usage: Usage{PID: main.PID, Memory: main.Memory}, Children: []Usage{}}
	for _, c := range below.Children {
		s.Children = append(s.Children, Usage{PID: c.PID, Memory: c.Memory})
	}
	return s, nil
}
