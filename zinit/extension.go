package zinit

import (
	"cmp"
	"encoding/hex"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Extension is what our server can do for a service beyond the original, which
// ignores these keys of a service file. The zero value asks for none of it.
type Extension struct {
	// User runs the process, by name or number; "" is the server's own. With it
	// come its groups, HOME, USER and LOGNAME.
	User string
	// Group is the process' group, by name or number; "" is User's.
	Group string
	// Umask masks the modes of new files; nil is the server's own.
	Umask *uint32
	// Rlimits bound the process by the names of setrlimit(2) in small letters
	// ("nofile"), soft and hard alike; Unlimited is none.
	Rlimits map[string]uint64
	// Memory bounds the service's memory, in bytes, and CPU its processors, by a
	// control group of its own (cgroup v2); 0 is no bound. Where the machine does
	// not let us, the service runs without, and its status says so.
	Memory uint64
	CPU    float64
	// Restart is the pace and the budget of restarts.
	Restart Restart
	// StopTimeout is how long a single stop waits before KILL; 0 is what
	// ShutdownTimeout says.
	StopTimeout time.Duration
	// LogFile gets the output beside Log.
	LogFile LogFile
	// SHA256 is what the program must be, in hex; "" is not looked at. What is
	// executed is the very file that was hashed.
	SHA256 string
}

// Unlimited is the value of a resource without bound.
const Unlimited uint64 = unix.RLIM_INFINITY

// Restart says how a process that ended is started again. Zero values are the
// defaults.
type Restart struct {
	// Delay is the pause before the second restart in a row (the first is at
	// once), doubled each time up to MaxDelay. Default 100 ms and 5 s.
	Delay, MaxDelay time.Duration
	// Healthy is the life after which a row begins anew. Default 10 s.
	Healthy time.Duration
	// MaxExits within Within (default 1 min) are the budget: the next end leaves
	// the service down, as Failure, until it is started. 0 is no bound.
	MaxExits int
	Within   time.Duration
}

// LogFile is a file that a service's output is appended to, line by line.
type LogFile struct {
	// Path is absolute; "" is no file. Its folder must exist.
	Path string
	// MaxSize is where the file becomes Path.1, and Path.1 Path.2, up to Keep.
	// Default 10 MiB and 5.
	MaxSize uint64
	Keep    int
}

// Bounds and defaults of a log file.
const (
	DefaultLogSize = 10 << 20
	DefaultLogKeep = 5
	minLogSize     = 1 << 10
	maxLogKeep     = 1000
)

// maxDuration bounds every duration of a service: a typing error must not become
// a wait that nobody lives to see.
const maxDuration = MaxShutdownTimeout

// IsZero reports whether nothing is asked for.
func (e Extension) IsZero() bool {
	return e.User == "" && e.Group == "" && e.Umask == nil && len(e.Rlimits) == 0 && e.Memory == 0 && e.CPU == 0 &&
		e.Restart == (Restart{}) && e.StopTimeout == 0 && e.LogFile == (LogFile{}) && e.SHA256 == ""
}

// resources are the names of setrlimit(2).
var resources = map[string]int{
	"as": unix.RLIMIT_AS, "core": unix.RLIMIT_CORE, "cpu": unix.RLIMIT_CPU, "data": unix.RLIMIT_DATA,
	"fsize": unix.RLIMIT_FSIZE, "locks": unix.RLIMIT_LOCKS, "memlock": unix.RLIMIT_MEMLOCK,
	"msgqueue": unix.RLIMIT_MSGQUEUE, "nice": unix.RLIMIT_NICE, "nofile": unix.RLIMIT_NOFILE,
	"nproc": unix.RLIMIT_NPROC, "rss": unix.RLIMIT_RSS, "rtprio": unix.RLIMIT_RTPRIO,
	"rttime": unix.RLIMIT_RTTIME, "sigpending": unix.RLIMIT_SIGPENDING, "stack": unix.RLIMIT_STACK,
}

// Resource is the number of a resource in Rlimits.
func Resource(name string) (int, bool) {
	n, ok := resources[name]
	return n, ok
}

// validate says what is wrong with e, by the key of the service file.
func (e Extension) validate() error {
	for key, word := range map[string]string{"user": e.User, "group": e.Group, "log_file.path": e.LogFile.Path} {
		if err := checkWord(word); err != nil {
			return fmt.Errorf("%s %.60q: %w", key, word, err)
		}
	}
	if e.Umask != nil && *e.Umask > 0o777 {
		return fmt.Errorf("umask: got %#o, want at most 0777", *e.Umask)
	}
	for _, name := range slices.Sorted(maps.Keys(e.Rlimits)) {
		if _, ok := resources[name]; !ok {
			return fmt.Errorf("rlimits: got %.30q, want one of %s", name, strings.Join(slices.Sorted(maps.Keys(resources)), " "))
		}
	}
	const minCPU, maxCPU = 0.01, 10_000
	if e.CPU != 0 && !(e.CPU >= minCPU && e.CPU <= maxCPU) {
		return fmt.Errorf("cpu_max: got %v, want processors from %v to %v", e.CPU, minCPU, maxCPU)
	}
	if e.SHA256 != "" {
		if b, err := hex.DecodeString(e.SHA256); err != nil || len(b) != 32 {
			return fmt.Errorf("sha256: got %.70q, want 64 hex digits", e.SHA256)
		}
	}
	return cmp.Or(e.Restart.validate(), e.LogFile.validate(), checkDuration("stop_timeout", e.StopTimeout))
}

func (r Restart) validate() error {
	if r.MaxExits < 0 || r.MaxExits > 1_000_000 {
		return fmt.Errorf("restart.max_exits: got %d, want 0 (no bound) to 1000000", r.MaxExits)
	}
	if w := r.OrDefaults(); w.Delay > w.MaxDelay {
		return fmt.Errorf("restart.delay: got %v, want at most max_delay (%v)", w.Delay, w.MaxDelay)
	}
	return cmp.Or(checkDuration("restart.delay", r.Delay), checkDuration("restart.max_delay", r.MaxDelay),
		checkDuration("restart.healthy", r.Healthy), checkDuration("restart.within", r.Within))
}

// OrDefaults is r with the defaults in the place of zero values.
func (r Restart) OrDefaults() Restart {
	r.Delay = cmp.Or(r.Delay, 100*time.Millisecond)
	r.MaxDelay = cmp.Or(r.MaxDelay, max(5*time.Second, r.Delay))
	r.Healthy = cmp.Or(r.Healthy, 10*time.Second)
	r.Within = cmp.Or(r.Within, time.Minute)
	return r
}

func (f LogFile) validate() error {
	switch {
	case f == LogFile{}:
		return nil
	case !filepath.IsAbs(f.Path):
		return fmt.Errorf("log_file.path: got %.100q, want an absolute path", f.Path)
	case f.MaxSize != 0 && f.MaxSize < minLogSize:
		return fmt.Errorf("log_file.max_size: got %d, want at least %d bytes", f.MaxSize, minLogSize)
	case f.Keep < 0 || f.Keep > maxLogKeep:
		return fmt.Errorf("log_file.keep: got %d, want 0 (default %d) to %d files", f.Keep, DefaultLogKeep, maxLogKeep)
	}
	return nil
}

// OrDefaults is f with the defaults in the place of zero values.
func (f LogFile) OrDefaults() LogFile {
	f.MaxSize, f.Keep = cmp.Or(f.MaxSize, DefaultLogSize), cmp.Or(f.Keep, DefaultLogKeep)
	return f
}

func checkDuration(key string, d time.Duration) error {
	if d < 0 || d > maxDuration {
		return fmt.Errorf("%s: got %v, want up to %v", key, d, maxDuration)
	}
	return nil
}
