package config

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/kballard/go-shellquote"

	"herosup/dispatch"
	"herosup/dispatch/runner"
	"herosup/dispatch/store"
	"herosup/events"
	"herosup/events/external"
	"herosup/zinit"
)

// Error is one value that is not allowed.
type Error struct {
	// Where is "file:line", or the file when the key stands on no line.
	Where string
	// Path is the key: "pools.etl.max".
	Path string
	// Got and Want are for people.
	Got, Want string
}

func (e *Error) Error() string {
	return fmt.Sprintf("configuration %s: %s: got %s, want %s", e.Where, e.Path, e.Got, e.Want)
}

// positions finds the line of a key.
type positions struct {
	file string
	src  []byte
}

// line is where the key stands, or, of one that is missing, what it is missing in.
func (p positions) line(path string) string {
	for path != "" {
		if n := p.find(path); n > 0 {
			return fmt.Sprintf("%s:%d", p.file, n)
		}
		path = path[:max(0, strings.LastIndexByte(path, '.'))]
	}
	return p.file
}

func (p positions) find(path string) int {
	yp, err := yaml.PathString("$." + path)
	if err != nil {
		return 0
	}
	n, err := yp.ReadNode(strings.NewReader(string(p.src)))
	if err != nil || n.GetToken() == nil {
		return 0
	}
	return n.GetToken().Position.Line
}

type checker struct {
	at   positions
	errs []error
}

func (c *checker) want(ok bool, path string, got any, want string) {
	if ok {
		return
	}
	text := fmt.Sprint(got)
	if s, isString := got.(string); isString {
		text = fmt.Sprintf("%q", s)
	}
	c.errs = append(c.errs, &Error{Where: c.at.line(path), Path: path, Got: text, Want: want})
}

var envName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// validate checks every value and returns all faults.
func (c *Config) validate(at positions) error {
	k := &checker{at: at}
	k.want(events.CheckToken("prefix", strings.Trim(c.Redis.Prefix, "{}")) == nil, "redis.prefix", c.Redis.Prefix, "1 to 64 of A-Z a-z 0-9 _ -, in one pair of {} for a Redis Cluster")
	c.NATS.validate(k)
	k.want(new(slog.Level).UnmarshalText([]byte(c.Log.Level)) == nil, "log.level", c.Log.Level, "debug, info, warn or error")
	k.want(slices.Contains([]string{"auto", "text", "json"}, c.Log.Format), "log.format", c.Log.Format, "auto, text or json")
	c.Jobs.validate(k)
	for _, name := range sorted(c.Pools) {
		c.Pools[name].validate(k, name)
	}
	c.validateDefaults(k)
	c.readScripts(k)
	c.validateSchedules(k)
	return errors.Join(k.errs...)
}

func (j Jobs) validate(k *checker) {
	k.want(j.MaxPriorityWait >= time.Second && j.MaxPriorityWait <= 24*time.Hour, "jobs.max_priority_wait", j.MaxPriorityWait, "1s to 24h")
	b := j.RetryBackoff
	k.want(len(b) == 2 && b[0] >= time.Millisecond && b[0] <= b[1] && b[1] <= 30*24*time.Hour, "jobs.retry_backoff", b,
		"[first, longest] of 1ms to 720h, such as [1s, 1h]")
	wantRetries(k, "jobs.retries", &j.Retries)
	wantTimeout(k, "jobs.timeout", &j.Timeout)
	k.want(j.MaxCrashes >= 1 && j.MaxCrashes <= 1000, "jobs.max_crashes", j.MaxCrashes, "1 to 1000")
	k.want(j.CancelGrace >= 10*time.Millisecond && j.CancelGrace <= time.Hour, "jobs.cancel_grace", j.CancelGrace, "10ms to 1h")
	k.want(j.WatchdogAfter >= time.Second && j.WatchdogAfter <= time.Hour, "jobs.watchdog_after", j.WatchdogAfter, "1s to 1h")
	k.want(j.DeadMost >= 1 && j.DeadMost <= 1_000_000, "jobs.dead_most", j.DeadMost, "1 to 1000000 jobs")
	k.want(j.KeepMost >= 1 && j.KeepMost <= 1_000_000, "jobs.keep_most", j.KeepMost, "1 to 1000000 ended jobs")
	k.want(j.KeepAge >= time.Second && j.KeepAge <= 30*24*time.Hour, "jobs.keep_age", j.KeepAge, "1s to 720h")
	if d := j.KeepResult; d != nil {
		k.want(*d >= 0 && *d <= j.KeepAge, "jobs.keep_result", *d, fmt.Sprintf("0 (none) to keep_age, %v", j.KeepAge))
	}
	k.want(j.DeadAge >= time.Minute && j.DeadAge <= 365*24*time.Hour, "jobs.dead_age", j.DeadAge, "1m to 8760h (a year)")
}

func wantRetries(k *checker, path string, n *int) {
	if n != nil {
		k.want(*n >= 0 && *n <= dispatch.MaxRetries, path, *n, fmt.Sprintf("0 to %d", dispatch.MaxRetries))
	}
}

func wantTimeout(k *checker, path string, d *time.Duration) {
	if d != nil {
		k.want(*d >= 0 && *d <= dispatch.MaxTimeout, path, *d, "0 (none) to 720h, such as 10m")
	}
}

const protocolHero = "hero"

// Hero reports whether its actors are programs of the original protocol.
func (p Pool) Hero() bool { return p.Protocol == protocolHero }

func (p Pool) validate(k *checker, name string) {
	path := func(key string) string { return "pools." + name + "." + key }
	k.want(events.CheckToken("pool", name) == nil && len(name) <= 48, "pools."+name, name, "a name of 1 to 48 of A-Z a-z 0-9 _ -")
	k.want(events.CheckToken("type", p.Type) == nil, path("type"), p.Type, "1 to 64 of A-Z a-z 0-9 _ -")
	if len(p.Types) > 1 || p.Types[p.Type] != 1 {
		large := slices.IndexFunc(p.Serves(), func(t string) bool { return t != strings.ToLower(t) })
		k.want(large < 0, path("types"), p.Types, "names in small letters, as in those of queues")
		err := store.CheckServed(p.Type, p.Types)
		k.want(large >= 0 || err == nil, path("types"), p.Types, fmt.Sprintf("1 to %d types, type among them, with weights of 1 to %d: %v", store.MaxServed, store.MaxWeight, err))
	}
	k.want(len(p.Types) == 1 || !p.Hero(), path("types"), p.Types, "one type: a program of the original protocol waits on one list")
	if p.Command == "" && p.Interpreter == "" {
		for _, t := range p.Serves() {
			k.want(runner.Name(t) != "", path("interpreter"), p.Interpreter,
				fmt.Sprintf("an interpreter, or a command: none is known for type %s (known types: %s)", t, strings.Join(runner.Types(), " ")))
		}
	}
	k.want(p.Command == "" || p.Interpreter == "", path("interpreter"), p.Interpreter, "either command or interpreter, not both")
	k.want(p.Interpreter == "" || interpreterFits(p.Interpreter), path("interpreter"), p.Interpreter,
		"a command whose quotes are closed; for a script in a file, {script} or {script.EXT} as a word behind the program")
	k.want(p.Protocol == "" || p.Protocol == protocolHero, path("protocol"), p.Protocol,
		"hero (a program of the original protocol), or none (one that speaks ours)")
	k.want(p.Protocol != protocolHero || p.Command != "", path("protocol"), p.Protocol, "a command beside it")
	k.want(p.Command != "" || len(p.Args) == 0, path("args"), p.Args, "none without command")
	k.want(*p.Max >= 0 && *p.Max <= MaxActors, path("max"), *p.Max, fmt.Sprintf("0 to %d (0: nothing runs, jobs wait)", MaxActors))
	k.want(p.Min >= 0 && p.Min <= *p.Max, path("min"), p.Min, fmt.Sprintf("0 to max (%d)", *p.Max))
	wantRetries(k, path("retries"), p.Retries)
	wantTimeout(k, path("timeout"), p.Timeout)
	k.want(p.Concurrency >= 1 && p.Concurrency <= store.MaxSlots, path("concurrency"), p.Concurrency,
		fmt.Sprintf("1 to %d jobs at a time in one actor", store.MaxSlots))
	k.want(p.TargetBacklog >= 1, path("target_backlog"), p.TargetBacklog, "1 or more jobs per actor")
	k.want(p.Activation >= 0, path("activation"), p.Activation, "0 or more jobs")
	for _, d := range []struct {
		key string
		v   time.Duration
	}{
		{"idle_timeout", p.IdleTimeout},
		{"start_timeout", p.StartTimeout},
		{"stop_timeout", p.StopTimeout},
		{"health.ping_every", p.Health.PingEvery},
		{"health.ping_timeout", p.Health.PingTimeout},
		{"restart.crash_loop.within", p.Restart.CrashLoop.Within},
	} {
		k.want(d.v > 0 && d.v <= 365*24*time.Hour, path(d.key), d.v, "a duration above 0, such as 30s or 10m")
	}
	k.want(p.Health.PingLost >= 1, path("health.ping_lost"), p.Health.PingLost, "1 or more pings")
	k.want(p.Restart.CrashLoop.Exits >= 1, path("restart.crash_loop.exits"), p.Restart.CrashLoop.Exits, "1 or more exits")
	b := p.Restart.Backoff
	k.want(len(b) == 2 && b[0] > 0 && b[0] <= b[1], path("restart.backoff"), b, "[first, longest], such as [1s, 1m]")
	for _, v := range sorted(p.Env) {
		k.want(envName.MatchString(v), path("env"), v, "names of letters, digits and _")
		k.want(!strings.ContainsAny(p.Env[v], "\x00\n"), path("env."+v), p.Env[v], "no line break")
	}
	for i, s := range p.After {
		k.want(zinit.ValidName(s) == nil, path("after"), s, "names of zinit services")
		k.want(!slices.Contains(p.After[:i], s), path("after"), s, "each service once")
	}
	p.Limits.validate(k, path("limits."))
	k.want(p.Dir == "" || filepath.IsAbs(p.Dir), path("dir"), p.Dir, "an absolute path")
	k.want(p.HealthCheck == "", path("health_check"), p.HealthCheck, "nothing: this is not supported yet")
}

func (l Limits) validate(k *checker, path string) {
	const least = 1 << 20 // a typing error: nothing starts in less
	if l.Memory != "" {
		n, err := zinit.ParseBytes(l.Memory)
		k.want(err == nil && n >= least, path+"memory", l.Memory, "a size of 1M or more, such as 512M or 2G")
	}
	k.want(l.CPU == 0 || l.CPU >= 0.01 && l.CPU <= 10_000, path+"cpu", l.CPU, "a number of processors from 0.01, such as 0.5 or 2")
	k.want(l.Files == 0 || l.Files >= 16 && l.Files <= 1<<30, path+"files", l.Files, "16 or more open files")
}

// interpreterFits reports whether a command line can be split and what looks like a place for the script's file is one.
func interpreterFits(line string) bool {
	words, err := shellquote.Split(line)
	if err != nil || len(words) == 0 {
		return false
	}
	at, _ := runner.ScriptFile(words)
	return at >= 0 || !strings.Contains(line, "{script")
}

// SyncInterval is Sync as a duration, or always.
func (n NATS) SyncInterval() (d time.Duration, always bool, err error) {
	if n.Sync == "always" {
		return 0, true, nil
	}
	d, err = time.ParseDuration(n.Sync)
	if err == nil && (d < time.Millisecond || d > 2*time.Minute) {
		err = fmt.Errorf("nats.sync %s is out of range", d)
	}
	return d, false, err
}

// Access is what it takes to reach a server of your own, whose URL it has.
func (n NATS) Access() external.Access {
	return external.Access{URL: n.URL, Creds: n.Creds, NKey: n.NKey, CA: n.CA}
}

// ListenFits reports whether Listen is one that a server of ours can have.
func (n NATS) ListenFits() bool {
	_, port, err := net.SplitHostPort(n.Listen)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	return err == nil || n.Listen == ""
}

func (n NATS) validate(k *checker) {
	if n.URL == "" {
		k.want(n.ListenFits(), "nats.listen", n.Listen, "host:port, such as 127.0.0.1:4222")
		_, _, err := n.SyncInterval()
		k.want(err == nil, "nats.sync", n.Sync, `a duration of 1ms to 2m, or "always"`)
		for key, v := range map[string]string{"creds": n.Creds, "nkey": n.NKey, "ca": n.CA} {
			k.want(v == "", "nats."+key, v, "a url beside it: our own server makes its keys itself")
		}
		k.want(n.Replicas == 0, "nats.replicas", n.Replicas, "a url beside it: our own server is one")
		return
	}
	if err := n.Access().Check(); err != nil {
		k.want(false, "nats.url", n.Access().Public(), "nats://HOST:PORT or tls://HOST:PORT, and creds or nkey, not both ("+err.Error()+")")
	}
	k.want(n.Listen == "", "nats.listen", n.Listen, "nothing beside nats.url, where your own server listens")
	k.want(n.Sync == "", "nats.sync", n.Sync, "nothing beside nats.url: it is in your own server's configuration (sync_interval)")
	k.want(n.Replicas >= 0 && n.Replicas <= 5, "nats.replicas", n.Replicas, "1 to 5, or 0 for those there are")
}

// knownKeys are all keys of all levels, for hints.
func knownKeys() []string {
	seen := map[string]bool{}
	var walk func(t reflect.Type)
	walk = func(t reflect.Type) {
		switch t.Kind() {
		case reflect.Map, reflect.Pointer, reflect.Slice:
			walk(t.Elem())
		case reflect.Struct:
			for i := range t.NumField() {
				if key := t.Field(i).Tag.Get("yaml"); key != "" && key != "-" {
					seen[key] = true
					walk(t.Field(i).Type)
				}
			}
		}
	}
	walk(reflect.TypeFor[Config]())
	return sorted(seen)
}
