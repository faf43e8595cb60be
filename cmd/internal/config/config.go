package config

import (
	"maps"
	"runtime"
	"slices"
	"strings"
	"time"

	"herosup/zinit"
)

// Config is the whole configuration with defaults in place.
type Config struct {
	Redis Redis           `yaml:"redis"`
	NATS  NATS            `yaml:"nats"`
	Zinit Zinit           `yaml:"zinit"`
	Log   Log             `yaml:"log"`
	Jobs  Jobs            `yaml:"jobs"`
	Pools map[string]Pool `yaml:"pools"`
	// Schedules are periodic jobs.
	Schedules []Schedule `yaml:"schedules"`

	// File is where it was read from; "" for the defaults.
	File string `yaml:"-"`
}

// Redis says which Redis to use.
type Redis struct {
	// URL: redis://, rediss:// or unix://, Sentinel (?master_name=) or a Cluster (?addr=, ?cluster=true); "" starts
	// one of our own.
	URL string `yaml:"url"`
	// Prefix begins every key: two daemons on one Redis need two.
	Prefix string `yaml:"prefix"`
}

// NATS says where the bus is: on a server of ours, or one of your own.
type NATS struct {
	// URL of a server of your own with JetStream, or of several of a cluster with commas between; "" starts ours.
	URL string `yaml:"url"`
	// Creds is a file with a user's credentials for it, NKey one with a seed.
	Creds string `yaml:"creds"`
	NKey  string `yaml:"nkey"`
	// CA is a file with the authorities to trust; "" means the system's.
	CA string `yaml:"ca"`
	// Replicas of each stream in a cluster of your own; 0 leaves them as they are, and makes one.
	Replicas int `yaml:"replicas"`
	// Listen is host:port; "" means loopback and a free port, kept.
	Listen string `yaml:"listen"`
	// Sync is how much acknowledged work a power cut may cost: a duration, or
	// "always" for none.
	Sync string `yaml:"sync"`
}

// Zinit says which process manager to use.
type Zinit struct {
	// Socket of a running one; "" looks for one, then starts our own; "own"
	// starts our own without looking.
	Socket string `yaml:"socket"`
}

// Jobs says how jobs of all types are treated.
type Jobs struct {
	// MaxPriorityWait is how long a job of the lowest level waits at most behind a
	// flood of the highest. It holds for jobs that are taken in from then on.
	MaxPriorityWait time.Duration `yaml:"max_priority_wait"`
	// RetryBackoff is [first, longest]: the upper bounds of the pause before a failed
	// script is run again; each further one may be twice as long as the one before. Actors have it, and
	// DeadMost and DeadAge, from their start on, in their environment (actor.Settings).
	RetryBackoff []time.Duration `yaml:"retry_backoff"`
	// Retries and Timeout are for jobs whose submission does not say them: how often a failed script is
	// run again, and what ends it. A pool may have its own. They are the job's from its acceptance on.
	Retries int           `yaml:"retries"`
	Timeout time.Duration `yaml:"timeout"`
	// MaxCrashes is how many actors a job may take with it before it is dead.
	MaxCrashes int `yaml:"max_crashes"`
	// CancelGrace is how long a script may take from TERM to its end when its running
	// job is cancelled; then it is killed.
	CancelGrace time.Duration `yaml:"cancel_grace"`
	// WatchdogAfter is how long jobs may wait beside an actor that has room before
	// it is rung, then pinged, then replaced: so long before each.
	WatchdogAfter time.Duration `yaml:"watchdog_after"`
	// KeepMost and KeepAge bound the records of ended jobs, with their results: the oldest go first. A dead job
	// has bounds of its own.
	KeepMost int           `yaml:"keep_most"`
	KeepAge  time.Duration `yaml:"keep_age"`
	// KeepResult bounds the results (output and error) of jobs that do not say it themselves; absent means as the records. 0 keeps none: who
	// waits for the job gets it. Actors have all three as they have DeadMost.
	KeepResult *time.Duration `yaml:"keep_result"`
	// DeadMost and DeadAge bound the dead jobs that are kept: the oldest go first.
	DeadMost int           `yaml:"dead_most"`
	DeadAge  time.Duration `yaml:"dead_age"`
}

// Log says what is logged.
type Log struct {
	Level  string `yaml:"level"`
	Format string `yaml:"format"`
}

// Pool is one pool of actors.
type Pool struct {
	// Type is the script type whose jobs it takes; "" means the pool's name, or the first of Types.
	Type string `yaml:"type"`
	// Types are several that each of its actors takes, by weight (absent means 1): where jobs of several wait they are taken in turns, of one
	// of weight 2 twice as many as of one of weight 1.
	Types Weights `yaml:"types"`
	// Command is an actor program that speaks the actor contract; "" means our
	// own actor with Interpreter.
	Command string `yaml:"command"`
	// Protocol is what Command speaks: "" the actor contract, "hero" the original's (BLPOP).
	Protocol string `yaml:"protocol"`
	// Args follow Command; absent means --redis-url {redis} --actor-id {actor}. {actor}, {redis}, {type}, {types} and
	// {concurrency} stand for the actor's id, the Redis URL, Type, Types ("bash:1,python:3") and Concurrency.
	Args []string `yaml:"args"`
	// Interpreter is the command that gets each script on its standard input
	// or, where an argument is {script} or {script.EXT}, in a file of that name;
	// "" means the one known for Type.
	Interpreter string            `yaml:"interpreter"`
	Env         map[string]string `yaml:"env"`
	// Dir is the folder that its actors work in, absolute; "" means their zinit's own.
	Dir string `yaml:"dir"`
	// After are zinit services that must be up first.
	After []string `yaml:"after"`
	Min   int      `yaml:"min"`
	// Max bounds the pool; absent means the number of CPUs.
	Max *int `yaml:"max"`
	// Concurrency is how many jobs each actor runs at a time; absent means 1. A Command is told by
	// {concurrency} in Args and by its environment (actor.Settings), and has to ask for as many jobs by itself.
	Concurrency int `yaml:"concurrency"`
	// TargetBacklog is how many waiting and running jobs one actor is for; absent means Concurrency.
	TargetBacklog int `yaml:"target_backlog"`
	// Activation is how many jobs may wait before the first actor is started.
	Activation int `yaml:"activation"`
	// Retries and Timeout are those of Jobs, for this pool's type; absent means those, and 0 none.
	Retries *int           `yaml:"retries"`
	Timeout *time.Duration `yaml:"timeout"`
	// IdleTimeout is how long an actor above min may be idle.
	IdleTimeout time.Duration `yaml:"idle_timeout"`
	// StartTimeout is how long an actor may take to say hello.
	StartTimeout time.Duration `yaml:"start_timeout"`
	// StopTimeout is how long an actor may take from TERM to its end.
	StopTimeout time.Duration `yaml:"stop_timeout"`
	Health      Health        `yaml:"health"`
	Restart     Restart       `yaml:"restart"`

	// User runs the actors, by name or number; "" is the daemon's own. It and Limits
	// need our own zinit.
	User   string `yaml:"user"`
	Limits Limits `yaml:"limits"`

	// Part of the design, not built yet.
	HealthCheck string `yaml:"health_check"`
}

// Weights are those of types; one that is left out is 1, and one that is written stands as it is.
type Weights map[string]int

// UnmarshalYAML tells nothing from 0.
func (w *Weights) UnmarshalYAML(unmarshal func(any) error) error {
	var given map[string]*int
	if err := unmarshal(&given); err != nil {
		return err
	}
	*w = make(Weights, len(given))
	for t, n := range given {
		if n == nil {
			n = new(1)
		}
		(*w)[t] = *n
	}
	return nil
}

// Limits bound each actor of a pool, with all that it starts.
type Limits struct {
	// Memory is a size such as 512M, and CPU a number of processors such as 0.5;
	// both need a cgroup v2 that is ours. "" and 0 are no bound.
	Memory string  `yaml:"memory"`
	CPU    float64 `yaml:"cpu"`
	// Files is how many files each process may have open; 0 is no bound of ours.
	Files int `yaml:"files"`
}

// Extension is what the pool asks of the process manager beyond what any zinit
// does.
func (p Pool) Extension() (zinit.Extension, error) {
	e := zinit.Extension{User: p.User, CPU: p.Limits.CPU}
	if p.Limits.Files != 0 {
		e.Rlimits = map[string]uint64{"nofile": uint64(p.Limits.Files)}
	}
	if p.Limits.Memory == "" {
		return e, nil
	}
	var err error
	e.Memory, err = zinit.ParseBytes(p.Limits.Memory)
	return e, err
}

// Health says when an idle actor is asked for a sign of life.
type Health struct {
	PingEvery   time.Duration `yaml:"ping_every"`
	PingTimeout time.Duration `yaml:"ping_timeout"`
	PingLost    int           `yaml:"ping_lost"`
}

// Restart says how a dying actor is brought back.
type Restart struct {
	// Backoff is [first, longest] wait.
	Backoff []time.Duration `yaml:"backoff"`
	// CrashLoop: so many exits within that time hold the actor down.
	CrashLoop CrashLoop `yaml:"crash_loop"`
}

// CrashLoop is a budget of exits.
type CrashLoop struct {
	Exits  int           `yaml:"exits"`
	Within time.Duration `yaml:"within"`
}

// MaxActors bounds the size of one pool.
const MaxActors = 1024

// Serves lists the types that its actors take, by name.
func (p Pool) Serves() []string { return slices.Sorted(maps.Keys(p.Types)) }

func (p *Pool) setDefaults(name string) {
	if p.Type == "" && len(p.Types) > 0 {
		p.Type = slices.Min(slices.Collect(maps.Keys(p.Types)))
	}
	if p.Type == "" {
		p.Type = name
	}
	p.Type = strings.ToLower(p.Type) // as in the queue's name, so in every door
	if len(p.Types) == 0 {
		p.Types = map[string]int{p.Type: 1}
	}
	if p.Max == nil {
		n := runtime.NumCPU()
		p.Max = &n
	}
	def(&p.Concurrency, 1)
	def(&p.TargetBacklog, p.Concurrency)
	def(&p.IdleTimeout, 5*time.Minute)
	def(&p.StartTimeout, 30*time.Second)
	def(&p.StopTimeout, 10*time.Second)
	def(&p.Health.PingEvery, 10*time.Minute)
	def(&p.Health.PingTimeout, 5*time.Second)
	def(&p.Health.PingLost, 3)
	if p.Restart.Backoff == nil {
		p.Restart.Backoff = []time.Duration{time.Second, time.Minute}
	}
	def(&p.Restart.CrashLoop.Exits, 5)
	def(&p.Restart.CrashLoop.Within, 2*time.Minute)
}

func (c *Config) setDefaults() {
	def(&c.Redis.Prefix, "hero")
	if c.NATS.URL == "" {
		def(&c.NATS.Sync, "1s")
	}
	c.Jobs.setDefaults()
	def(&c.Log.Level, "info")
	def(&c.Log.Format, "auto")
	for name, p := range c.Pools {
		p.setDefaults(name)
		c.Pools[name] = p
	}
}

func (j *Jobs) setDefaults() {
	def(&j.MaxPriorityWait, time.Minute)
	if j.RetryBackoff == nil {
		j.RetryBackoff = []time.Duration{time.Second, time.Hour}
	}
	def(&j.MaxCrashes, 3)
	def(&j.CancelGrace, 5*time.Second)
	def(&j.WatchdogAfter, 5*time.Second)
	def(&j.DeadMost, 10_000)
	def(&j.DeadAge, 30*24*time.Hour)
	def(&j.KeepMost, 10_000)
	def(&j.KeepAge, time.Hour)
}

func def[T comparable](v *T, d T) {
	var zero T
	if *v == zero {
		*v = d
	}
}
